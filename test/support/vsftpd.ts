import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { prepareFtpPlace, type StartedFtpServer, startInFtpPlace } from './ftp-place.ts';
import type { Credentials } from './test-authority.ts';

/** A vsftpd of the test's own, which serves anybody. */
export type RunningVsftpd = StartedFtpServer;

/** Starts vsftpd as Debian configures it but for the place, with TLS sessions of data connections demanded. Needs root. */
export async function startVsftpd(
  credentials: Credentials,
  settings: Readonly<Record<string, string>> = {},
  place: { readonly namespace: string; readonly port: number } | undefined = undefined,
): Promise<RunningVsftpd> {
  const made = await prepareFtpPlace('vsftpd', credentials, place);
  const { directory, port, root } = made;
  mkdirSync(join(directory, 'empty'), { mode: 0o755 });
  const lines = {
    // In a namespace on all addresses of both families.
    ...(place === undefined ? { listen: 'YES', listen_address: '127.0.0.1' } : { listen_ipv6: 'YES' }),
    listen_port: String(port),
    background: 'NO',
    anonymous_enable: 'YES',
    no_anon_password: 'NO',
    anon_root: root,
    anon_upload_enable: 'YES',
    anon_other_write_enable: 'YES',
    anon_world_readable_only: 'NO',
    write_enable: 'YES',
    local_enable: 'NO',
    secure_chroot_dir: join(directory, 'empty'),
    seccomp_sandbox: 'NO',
    xferlog_enable: 'NO',
    ssl_enable: 'YES',
    allow_anon_ssl: 'YES',
    require_ssl_reuse: 'YES',
    ssl_ciphers: 'HIGH',
    rsa_cert_file: join(directory, 'cert.pem'),
    rsa_private_key_file: join(directory, 'key.pem'),
    ...settings,
  };
  const conf = join(directory, 'vsftpd.conf');
  writeFileSync(
    conf,
    Object.entries(lines)
      .map(([name, value]) => `${name}=${value}\n`)
      .join(''),
  );
  return startInFtpPlace(made, 'vsftpd', [conf]);
}
