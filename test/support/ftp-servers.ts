import { spawn } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './gateway.ts';
import { run } from './run.ts';
import type { Credentials } from './test-authority.ts';
import { startVsftpd } from './vsftpd.ts';

/** A real FTP server on the loopback, for one user. */
export interface RunningFtpServer extends AsyncDisposable {
  readonly port: number;
  readonly user: string;
  readonly password: string;
  /** Served to the user; uploads go to `in`. */
  readonly root: string;
  /** What was uploaded by that name; undefined when there is nothing. */
  readonly uploaded: (name: string) => Buffer | undefined;
}

/** Servers whose packages exclude each other are unpacked here (test/peers/install.sh). */
const unpacked = '/opt/daylight-peers';
const proftpd = `${unpacked}/usr/sbin/proftpd`;
const pureFtpd = `${unpacked}/usr/sbin/pure-ftpd`;

export interface FtpServerKind {
  readonly name: string;
  readonly isInstalled: () => boolean;
  readonly start: (credentials: Credentials) => Promise<RunningFtpServer>;
}

/** Each with TLS sessions of data connections demanded where the server can. */
export const ftpServers: readonly FtpServerKind[] = [
  {
    name: 'vsftpd',
    isInstalled: () => existsSync('/usr/sbin/vsftpd'),
    start: async (credentials) => {
      const server = await startVsftpd(credentials, { anon_umask: '022', anon_mkdir_write_enable: 'YES' });
      return Object.assign(server, { user: 'anonymous', password: 'hunter2@x' });
    },
  },
  { name: 'ProFTPD', isInstalled: () => isUnpacked(proftpd), start: startProftpd },
  { name: 'Pure-FTPd', isInstalled: () => isUnpacked(pureFtpd), start: startPureFtpd },
];

function isUnpacked(program: string): boolean {
  const isThere = existsSync(program);
  if (!isThere) console.warn(`skipped: ${program} is not there (test/peers/install.sh unpacks it)`);
  return isThere;
}

/** mod_tls as Debian has it: data connections must resume the session of the control connection. */
async function startProftpd(credentials: Credentials): Promise<RunningFtpServer> {
  const place = await prepare('proftpd', credentials);
  const { directory, port, root } = place;
  const conf = join(directory, 'proftpd.conf');
  writeFileSync(
    conf,
    `ModulePath ${unpacked}/usr/lib/proftpd
LoadModule mod_tls.c
ServerType standalone
DefaultAddress 127.0.0.1
UseIPv6 off
Port ${port}
User nobody
Group nogroup
RequireValidShell off
AuthPAM off
UseReverseDNS off
WtmpLog off
TransferLog none
SystemLog ${directory}/log
PidFile ${directory}/pid
ScoreboardFile none
DelayEngine off
TLSEngine on
TLSRequired off
TLSRSACertificateFile ${directory}/cert.pem
TLSRSACertificateKeyFile ${directory}/key.pem
<Anonymous ${root}>
  User ftp
  Group nogroup
  UserAlias anonymous ftp
  AllowOverwrite on
  AllowRetrieveRestart on
  AllowStoreRestart on
</Anonymous>
`,
  );
  return started(place, { user: 'anonymous', password: 'hunter2@x' }, proftpd, ['-n', '-c', conf]);
}

async function startPureFtpd(credentials: Credentials): Promise<RunningFtpServer> {
  const place = await prepare('pure-ftpd', credentials);
  const { directory, port, root } = place;
  const users = join(directory, 'users');
  const added = await run(
    `${unpacked}/usr/bin/pure-pw`,
    ['useradd', 'joe', '-u', 'ftp', '-d', root, '-f', users, '-m', '-F', `${users}.pdb`],
    { input: 'hunter2@x\nhunter2@x\n' },
  );
  if (added.code !== 0) throw new Error(added.stderr);
  const both = join(directory, 'both.pem');
  writeFileSync(both, `${credentials.key}\n${credentials.cert}`, { mode: 0o600 });
  const tls = ['-Y', '1', '-2', both];
  const args = [
    '-S',
    `127.0.0.1,${port}`,
    '-E',
    '-l',
    `puredb:${users}.pdb`,
    ...tls,
    '-g',
    `${directory}/pid`,
    '-H',
    '-A',
    '-u',
    '1',
  ];
  return started(place, { user: 'joe', password: 'hunter2@x' }, pureFtpd, args);
}

interface Place {
  readonly directory: string;
  readonly port: number;
  readonly root: string;
}

async function prepare(name: string, { cert, key }: Credentials): Promise<Place> {
  const directory = mkdtempSync(join(tmpdir(), `daylight-${name}-`));
  chmodSync(directory, 0o755);
  const root = join(directory, 'root');
  for (const path of ['root', 'root/in']) mkdirSync(join(directory, path), { mode: 0o755 });
  await run('chown', ['ftp', join(root, 'in')]);
  writeFileSync(join(directory, 'cert.pem'), cert);
  writeFileSync(join(directory, 'key.pem'), key, { mode: 0o600 });
  return { directory, port: await freePort(), root };
}

async function started(
  { directory, port, root }: Place,
  login: { readonly user: string; readonly password: string },
  program: string,
  args: readonly string[],
): Promise<RunningFtpServer> {
  const logFile = join(directory, 'output');
  const fd = openSync(logFile, 'a');
  const child = spawn(program, args, { stdio: ['ignore', fd, fd] });
  closeSync(fd);
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const deadline = performance.now() + 15_000;
  while (!(await isListening(port))) {
    if (performance.now() > deadline) throw new Error(readFileSync(logFile, 'utf8'));
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return {
    ...login,
    port,
    root,
    uploaded(name) {
      try {
        return readFileSync(join(root, 'in', name));
      } catch {
        return undefined;
      }
    },
    async [Symbol.asyncDispose]() {
      child.kill();
      await exited;
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}
