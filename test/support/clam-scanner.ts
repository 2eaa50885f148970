import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './gateway.ts';

/** The test string that every virus scanner calls a virus, put together here so that none finds it in this file. */
export const eicar = Buffer.from(
  ['X5O!P%@AP[4', '\\PZX54(P^)7CC)7}$EICAR', '-STANDARD-ANTIVIRUS', '-TEST-FILE!$H+H*'].join(''),
);

/** c-icap with ClamAV behind it, which knows one signature: EICAR. */
export interface ClamScanner extends AsyncDisposable {
  readonly url: string;
  /** What c-icap wrote of each request. */
  readonly log: () => string;
}

/** Starts clamd and c-icap in a directory of their own, and waits until both answer. */
export async function startClamScanner(): Promise<ClamScanner> {
  const directory = mkdtempSync(join(tmpdir(), 'daylight-clam-'));
  const port = await freePort();
  for (const name of ['db', 'tmp']) mkdirSync(join(directory, name));
  writeFileSync(join(directory, 'db', 'test.ndb'), `Test.Eicar:0:*:${eicar.toString('hex')}\n`);
  writeFileSync(join(directory, 'clamd.conf'), clamdConfiguration(directory));
  writeFileSync(join(directory, 'c-icap.conf'), icapConfiguration(directory, port));
  const clamd = spawn('clamd', ['-c', join(directory, 'clamd.conf')], { stdio: 'ignore' });
  const started: ChildProcess[] = [clamd];
  const dispose = async (): Promise<void> => {
    for (const child of started.reverse()) await ended(child);
    rmSync(directory, { recursive: true, force: true });
  };
  try {
    await until(() => existsSync(join(directory, 'clamd.sock')));
    started.push(spawn('c-icap', ['-N', '-f', join(directory, 'c-icap.conf')], { stdio: 'ignore' }));
    await until(() => accepts(port));
  } catch (error) {
    const logs = readdirSync(directory).filter((name) => name.endsWith('.log'));
    const text = logs.map((name) => readFileSync(join(directory, name), 'utf8')).join('\n');
    await dispose();
    throw new Error(`the scanner does not start: ${text}`, { cause: error });
  }
  return {
    url: `icap://127.0.0.1:${port}/avscan`,
    log: () => readFileSync(join(directory, 'access.log'), { encoding: 'utf8', flag: 'a+' }),
    [Symbol.asyncDispose]: dispose,
  };
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 400; tries++) {
    if (await condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error('not within 20 seconds');
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), 5_000);
  await exited;
  clearTimeout(timer);
}

function clamdConfiguration(directory: string): string {
  return `Foreground yes
DatabaseDirectory ${directory}/db
LocalSocket ${directory}/clamd.sock
TemporaryDirectory ${directory}/tmp
LogFile ${directory}/clamd.log
MaxThreads 4
${process.getuid?.() === 0 ? 'User root' : ''}
`;
}

function icapConfiguration(directory: string, port: number): string {
  return `PidFile ${directory}/c-icap.pid
CommandsSocket ${directory}/c-icap.ctl
Timeout 30
StartServers 1
MaxServers 1
ThreadsPerChild 8
MinSpareThreads 1
MaxSpareThreads 8
Port 127.0.0.1:${port}
TmpDir ${directory}/tmp
DebugLevel 1
ModulesDir /usr/lib/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu/c_icap
ServicesDir /usr/lib/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu/c_icap
TemplateDir /usr/share/c_icap/templates/
LoadMagicFile /etc/c-icap/c-icap.magic
ServerLog ${directory}/server.log
AccessLog ${directory}/access.log
Module common clamd_mod.so
clamd_mod.ClamdSocket ${directory}/clamd.sock
Service antivirus_module virus_scan.so
ServiceAlias avscan virus_scan?allow204=on&sizelimit=off&mode=simple
virus_scan.ScanFileTypes TEXT DATA EXECUTABLE ARCHIVE GIF JPEG MSOFFICE
virus_scan.SendPercentData 0
virus_scan.StartSendPercentDataAfter 0
virus_scan.MaxObjectSize 20M
virus_scan.DefaultEngine clamd
`;
}
