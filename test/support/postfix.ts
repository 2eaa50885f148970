import { type ChildProcess, spawn } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort, waitUntil } from './gateway.ts';
import { run } from './run.ts';
import type { Credentials } from './test-authority.ts';

/** A Postfix of the test's own: its configuration, queue and mailbox, on the loopback. */
export interface RunningPostfix extends AsyncDisposable {
  /** Plaintext with STARTTLS. */
  readonly port: number;
  /** TLS from the first byte. */
  readonly tlsPort: number;
  /** Mails that arrived in full, in no order. */
  readonly mails: () => readonly string[];
  readonly log: () => string;
  waitForMails(count: number): Promise<readonly string[]>;
}

export interface PostfixWishes {
  readonly credentials?: Credentials;
  /** Lines of main.cf. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Runs it in a network namespace, on all addresses there. */
  readonly namespace?: string;
}

/** Starts Postfix as a user would, with nothing of the machine's own configuration. Needs root. */
export async function startPostfix(wishes: PostfixWishes): Promise<RunningPostfix> {
  const directory = mkdtempSync(join(tmpdir(), 'daylight-postfix-'));
  chmodSync(directory, 0o755);
  const port = await freePort();
  const tlsPort = await freePort();
  writeConfiguration(directory, port, tlsPort, wishes);
  await run('chown', ['postfix', join(directory, 'data')]);
  const command = ['postfix', '-c', join(directory, 'conf'), 'start-fg'];
  const [file = '', ...args] =
    wishes.namespace === undefined ? command : ['ip', 'netns', 'exec', wishes.namespace, ...command];
  // Postfix opens /dev/stdout anew, which a pipe of Node's is not made for.
  const logFile = join(directory, 'log');
  const fd = openSync(logFile, 'a');
  const child = spawn(file, args, { stdio: ['ignore', fd, fd] });
  closeSync(fd);
  const log = () => readFileSync(logFile, 'utf8');
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const mailbox = join(directory, 'mail', 'inbox', 'new');
  const mails = () =>
    existsSync(mailbox) ? readdirSync(mailbox).map((name) => readFileSync(join(mailbox, name), 'latin1')) : [];
  await waitUntil(
    () => child.exitCode !== null || /daemon started/.test(log()),
    () => `Postfix: ${log()}`,
  );
  if (child.exitCode !== null) throw new Error(`Postfix ended: ${log()}`);
  return {
    port,
    tlsPort,
    mails,
    log,
    waitForMails: async (count) => {
      await waitUntil(
        () => mails().length >= count,
        () => `${mails().length} mails: ${log()}`,
      );
      return mails();
    },
    async [Symbol.asyncDispose]() {
      await stop(child, directory, exited);
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

async function stop(child: ChildProcess, directory: string, exited: Promise<void>): Promise<void> {
  await run('postfix', ['-c', join(directory, 'conf'), 'stop']);
  // start-fg waits for the master; when it does not end by itself it is ours to end.
  const timer = setTimeout(() => child.kill('SIGKILL'), 5_000);
  await exited;
  clearTimeout(timer);
}

function writeConfiguration(directory: string, port: number, tlsPort: number, wishes: PostfixWishes): void {
  for (const name of ['conf', 'queue', 'data', 'mail']) mkdirSync(join(directory, name));
  chmodSync(join(directory, 'mail'), 0o777);
  const { credentials, settings, namespace } = wishes;
  if (credentials !== undefined) {
    writeFileSync(join(directory, 'cert.pem'), credentials.cert);
    writeFileSync(join(directory, 'key.pem'), credentials.key, { mode: 0o600 });
  }
  const main: Record<string, string> = {
    compatibility_level: '3.6',
    queue_directory: join(directory, 'queue'),
    data_directory: join(directory, 'data'),
    meta_directory: '/etc/postfix',
    daemon_directory: '/usr/lib/postfix/sbin',
    command_directory: '/usr/sbin',
    mail_owner: 'postfix',
    setgid_group: 'postdrop',
    maillog_file: '/dev/stdout',
    myhostname: 'mx.example.test',
    mydestination: '',
    mynetworks: '127.0.0.0/8 10.0.0.0/8 [fd91::]/16',
    virtual_mailbox_domains: 'example.test',
    virtual_mailbox_base: join(directory, 'mail'),
    virtual_mailbox_maps: 'static:inbox/',
    virtual_uid_maps: 'static:65534',
    virtual_gid_maps: 'static:65534',
    virtual_mailbox_limit: '0',
    message_size_limit: '100000000',
    default_transport: 'discard',
    alias_maps: '',
    alias_database: '',
    smtputf8_enable: 'yes',
    // Nobody answers questions about names in a test's network.
    smtpd_peername_lookup: 'no',
    smtpd_tls_security_level: credentials === undefined ? 'none' : 'may',
    ...(credentials === undefined
      ? {}
      : { smtpd_tls_cert_file: join(directory, 'cert.pem'), smtpd_tls_key_file: join(directory, 'key.pem') }),
    ...settings,
  };
  const mainText = Object.entries(main).map(([name, value]) => `${name} = ${value}\n`);
  writeFileSync(join(directory, 'conf', 'main.cf'), mainText.join(''));
  writeFileSync(
    join(directory, 'conf', 'master.cf'),
    masterText(namespace === undefined ? '127.0.0.1:' : '', port, tlsPort),
  );
}

function masterText(place: string, port: number, tlsPort: number): string {
  return `${place}${port} inet n - n - - smtpd
${place}${tlsPort} inet n - n - - smtpd -o smtpd_tls_wrappermode=yes
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
smtp unix - - n - - smtp
lmtp unix - - n - - lmtp
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
`;
}
