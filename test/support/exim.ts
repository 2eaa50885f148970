import { spawn } from 'node:child_process';
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
import { type Ran, run } from './run.ts';
import type { Credentials } from './test-authority.ts';

/** Unpacked, since no two mail servers can be installed at once (test/peers/install.sh). */
const exim = '/opt/daylight-peers/usr/sbin/exim4';

/** Whether Exim is there; a test is skipped loudly without it. */
export function hasExim(): boolean {
  const isThere = existsSync(exim);
  if (!isThere) console.warn(`skipped: ${exim} is not there (test/peers/install.sh unpacks it)`);
  return isThere;
}

/** An Exim of the test's own that takes every mail into a mailbox. Needs root. */
export interface RunningExim extends AsyncDisposable {
  /** Plaintext with STARTTLS. */
  readonly port: number;
  /** TLS from the first byte. */
  readonly tlsPort: number;
  /** Mails that arrived in full, in no order. */
  readonly mails: () => readonly string[];
  readonly log: () => string;
}

/** Starts Exim as a server on the loopback. */
export async function startExim(credentials: Credentials): Promise<RunningExim> {
  const directory = makeDirectory();
  const [port, tlsPort] = [await freePort(), await freePort()];
  writeFileSync(join(directory, 'cert.pem'), credentials.cert);
  writeFileSync(join(directory, 'key.pem'), credentials.key);
  const conf = join(directory, 'exim.conf');
  writeFileSync(
    conf,
    `${common(directory)}
primary_hostname = mx.example.test
daemon_smtp_ports = ${port} : ${tlsPort}
tls_on_connect_ports = ${tlsPort}
local_interfaces = 127.0.0.1
tls_advertise_hosts = *
tls_certificate = ${directory}/cert.pem
tls_privatekey = ${directory}/key.pem
chunking_advertise_hosts = *
dsn_advertise_hosts = *
smtputf8_advertise_hosts = *
message_size_limit = 100M
acl_smtp_rcpt = take
begin acl
take:
  accept
begin routers
inbox:
  driver = accept
  transport = inbox
begin transports
inbox:
  driver = appendfile
  directory = ${directory}/mail/inbox
  maildir_format
`,
  );
  const logFile = join(directory, 'log.txt');
  const fd = openSync(logFile, 'a');
  const child = spawn(exim, ['-C', conf, '-bdf', '-q1h'], { stdio: ['ignore', fd, fd] });
  closeSync(fd);
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const log = () => readFileSync(logFile, 'utf8') + logOf(directory);
  await waitUntil(
    () => child.exitCode !== null || /daemon started/.test(log()),
    () => `Exim: ${log()}`,
  );
  if (child.exitCode !== null) throw new Error(`Exim ended: ${log()}`);
  const mailbox = join(directory, 'mail', 'inbox', 'new');
  return {
    port,
    tlsPort,
    log,
    mails: () =>
      existsSync(mailbox) ? readdirSync(mailbox).map((name) => readFileSync(join(mailbox, name), 'latin1')) : [],
    async [Symbol.asyncDispose]() {
      child.kill();
      await exited;
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

export interface EximDelivery {
  /** Where it delivers to, on the loopback, by the name `localhost`. */
  readonly port: number;
  readonly protocol: 'smtp' | 'smtps' | 'lmtp';
  readonly caFile: string | undefined;
  readonly recipients: readonly string[];
  readonly mail: string;
}

/** Sends one mail with Exim as a client, in the foreground; what it logs tells how. Needs root. */
export async function sendWithExim(delivery: EximDelivery): Promise<Ran & { readonly log: string }> {
  const { port, protocol, caFile, recipients, mail } = delivery;
  const directory = makeDirectory();
  const conf = join(directory, 'exim.conf');
  const tls =
    caFile === undefined
      ? 'hosts_avoid_tls = *'
      : `hosts_require_tls = *
  tls_verify_certificates = ${join(directory, 'ca.pem')}
  tls_verify_hosts = *
  tls_verify_cert_hostnames = *
  tls_sni = localhost`;
  if (caFile !== undefined) writeFileSync(join(directory, 'ca.pem'), readFileSync(caFile), { mode: 0o644 });
  writeFileSync(
    conf,
    `${common(directory)}
primary_hostname = client.example.test
remote_max_parallel = 1
begin routers
out:
  driver = manualroute
  route_list = * localhost::${port} byname
  transport = out
  self = send
begin transports
out:
  driver = smtp
  protocol = ${protocol}
  allow_localhost
  port = ${port}
  interface = 127.0.0.1
  ${tls}
`,
  );
  try {
    const args = ['-C', conf, '-odf', '-f', 'b@c.test', '-i', ...recipients];
    return { ...(await run(exim, args, { input: mail })), log: logOf(directory) };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** What client and server have in common: nothing of the machine's own. Under such a configuration Exim may not stay root. */
function common(directory: string): string {
  return `exim_path = ${exim}
spool_directory = ${directory}/spool
log_file_path = ${directory}/log/%slog
pid_file_path = ${directory}/pid
log_selector = +smtp_confirmation +tls_peerdn +tls_sni +pipelining
host_lookup =
rfc1413_query_timeout = 0s
keep_environment =
deliver_drop_privilege
smtp_accept_max = 100
`;
}

/** Exim writes as a user of its own. */
function makeDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'daylight-exim-'));
  chmodSync(directory, 0o755);
  for (const name of ['spool', 'log', 'mail']) {
    mkdirSync(join(directory, name));
    chmodSync(join(directory, name), 0o777);
  }
  return directory;
}

function logOf(directory: string): string {
  const log = join(directory, 'log');
  return readdirSync(log)
    .map((name) => readFileSync(join(log, name), 'utf8'))
    .join('');
}
