import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { prepareFtpPlace, type StartedFtpServer, startInFtpPlace } from './ftp-place.ts';
import { run } from './run.ts';
import type { Credentials } from './test-authority.ts';
import { startVsftpd } from './vsftpd.ts';

/** A real FTP server on the loopback or in a network namespace, for one user. */
export interface RunningFtpServer extends StartedFtpServer {
  readonly user: string;
  readonly password: string;
}

const anybody = { user: 'anonymous', password: 'hunter2@x' };

/** Servers whose packages exclude each other are unpacked here (test/peers/install.sh). */
const unpacked = '/opt/daylight-peers';
const proftpd = `${unpacked}/usr/sbin/proftpd`;
const pureFtpd = `${unpacked}/usr/sbin/pure-ftpd`;

/** A host of a test network, on both of whose addresses the server listens. */
export interface FtpServerPlace {
  readonly namespace: string;
  readonly port: number;
  readonly addresses: { readonly ipv4: string; readonly ipv6: string };
}

export interface FtpServerKind {
  readonly name: string;
  readonly isInstalled: () => boolean;
  readonly start: (credentials: Credentials, place?: FtpServerPlace) => Promise<RunningFtpServer>;
}

/** Each with TLS sessions of data connections demanded where the server can. */
export const ftpServers: readonly FtpServerKind[] = [
  {
    name: 'vsftpd',
    isInstalled: () => existsSync('/usr/sbin/vsftpd'),
    start: async (credentials, place) => {
      const settings = { anon_umask: '022', anon_mkdir_write_enable: 'YES' };
      const server = await startVsftpd(credentials, settings, place);
      return Object.assign(server, anybody);
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
export async function startProftpd(
  credentials: Credentials,
  where?: FtpServerPlace,
  options = '',
): Promise<RunningFtpServer> {
  const place = await prepareFtpPlace('proftpd', credentials, where);
  const { directory, port, root } = place;
  // One that is not told its addresses asks for that of the host's name, and serves no other.
  const addresses = where === undefined ? '127.0.0.1' : `${where.addresses.ipv4} ${where.addresses.ipv6}`;
  const conf = join(directory, 'proftpd.conf');
  writeFileSync(
    conf,
    `ModulePath ${unpacked}/usr/lib/proftpd
LoadModule mod_tls.c
ServerType standalone
DefaultAddress ${addresses}
UseIPv6 ${where === undefined ? 'off' : 'on'}
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
${options}
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
  return Object.assign(await startInFtpPlace(place, proftpd, ['-n', '-c', conf]), anybody);
}

async function startPureFtpd(credentials: Credentials, where?: FtpServerPlace): Promise<RunningFtpServer> {
  const place = await prepareFtpPlace('pure-ftpd', credentials, where);
  const { directory, port, root } = place;
  const users = join(directory, 'users');
  const added = await run(
    `${unpacked}/usr/bin/pure-pw`,
    // A hash that takes a sixth of the usual time: each login would cost a processor 2.6 s.
    ['useradd', 'joe', '-u', 'ftp', '-d', root, '-f', users, '-m', '-F', `${users}.pdb`, '-C', '1000', '-M', '10000'],
    { input: 'hunter2@x\nhunter2@x\n' },
  );
  if (added.code !== 0) throw new Error(added.stderr);
  const both = join(directory, 'both.pem');
  writeFileSync(both, `${credentials.key}\n${credentials.cert}`, { mode: 0o600 });
  const tls = ['-Y', '1', '-2', both];
  const args = [
    '-S',
    where === undefined ? `127.0.0.1,${port}` : `${port}`,
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
  return Object.assign(await startInFtpPlace(place, pureFtpd, args), { user: 'joe', password: 'hunter2@x' });
}
