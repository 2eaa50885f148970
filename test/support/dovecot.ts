import { spawn } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort, waitUntil } from './gateway.ts';
import type { Credentials } from './test-authority.ts';

/** A Dovecot of the test's own that takes mail by LMTP, with STARTTLS. Needs root. */
export interface RunningDovecot extends AsyncDisposable {
  readonly port: number;
  /** Where Postfix asks whether somebody may log in. */
  readonly authSocket: string;
  /** Mails of one user. */
  readonly mailsOf: (user: string) => readonly string[];
  readonly log: () => string;
}

/**
 * Starts Dovecot's LMTP server on the loopback, for the users that are named, and its check of their password; of their
 * tokens, too, where `introspection` says whom to ask for them (RFC 7662).
 */
export async function startDovecot(
  credentials: Credentials,
  users: readonly string[],
  password = 'x',
  introspection?: string,
): Promise<RunningDovecot> {
  const directory = mkdtempSync(join(tmpdir(), 'daylight-dovecot-'));
  chmodSync(directory, 0o755);
  for (const name of ['run', 'mail']) mkdirSync(join(directory, name));
  chmodSync(join(directory, 'mail'), 0o777);
  const port = await freePort();
  writeFileSync(join(directory, 'cert.pem'), credentials.cert);
  writeFileSync(join(directory, 'key.pem'), credentials.key, { mode: 0o600 });
  writeFileSync(
    join(directory, 'users'),
    users.map((user) => `${user}:{PLAIN}${password}:65534:65534::${directory}/mail/${user}::\n`).join(''),
  );
  const oauth = join(directory, 'oauth2.conf.ext');
  if (introspection !== undefined) {
    writeFileSync(
      oauth,
      `introspection_url = ${introspection}
introspection_mode = post
username_attribute = username
active_attribute = active
active_value = true
tokeninfo_url =
openid_configuration_url = https://id.example.test/.well-known/openid-configuration
debug = yes
`,
    );
  }
  const conf = join(directory, 'dovecot.conf');
  writeFileSync(
    conf,
    `base_dir = ${directory}/run
log_path = ${directory}/log
protocols = lmtp
ssl = yes
ssl_cert = <${directory}/cert.pem
ssl_key = <${directory}/key.pem
first_valid_uid = 1
mail_location = maildir:~/maildir
disable_plaintext_auth = no
auth_failure_delay = 0
auth_mechanisms = plain login cram-md5 scram-sha-1 scram-sha-256${introspection === undefined ? '' : ' xoauth2 oauthbearer'}
service auth {
  unix_listener ${directory}/auth {
    mode = 0666
  }
}
${
  introspection === undefined
    ? ''
    : `passdb {
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = ${oauth}
}
`
}passdb {
  driver = passwd-file
  mechanisms = plain login cram-md5 scram-sha-1 scram-sha-256
  args = ${directory}/users
}
userdb {
  driver = passwd-file
  args = ${directory}/users
}
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
service lmtp {
  inet_listener lmtp {
    address = 127.0.0.1
    port = ${port}
  }
}
service stats {
  unix_listener stats-writer {
    mode = 0666
  }
}
protocol lmtp {
  postmaster_address = postmaster@example.test
}
`,
  );
  const child = spawn('dovecot', ['-F', '-c', conf], { stdio: ['ignore', 'ignore', 'pipe'] });
  let errors = '';
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk));
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const logFile = join(directory, 'log');
  const log = () => errors + (existsSync(logFile) ? readFileSync(logFile, 'utf8') : '');
  await waitUntil(
    () => child.exitCode !== null || /starting up/.test(log()),
    () => `Dovecot: ${log()}`,
  );
  if (child.exitCode !== null) throw new Error(`Dovecot ended: ${log()}`);
  return {
    port,
    authSocket: join(directory, 'auth'),
    log,
    mailsOf: (user) => {
      const box = join(directory, 'mail', user, 'maildir', 'new');
      return existsSync(box) ? readdirSync(box).map((name) => readFileSync(join(box, name), 'latin1')) : [];
    },
    async [Symbol.asyncDispose]() {
      child.kill();
      await exited;
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
