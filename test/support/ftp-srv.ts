import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { prepareFtpPlace, type StartedFtpServer, startInFtpPlace } from './ftp-place.ts';
import type { FtpServerPlace } from './ftp-servers.ts';
import { freePort } from './gateway.ts';
import type { Credentials } from './test-authority.ts';

const folder = '/opt/daylight-peers/ftp-srv';

/** Installed outside the project, since its dependencies have an open advisory. */
export function isFtpSrvInstalled(): boolean {
  const isInstalled = existsSync(join(folder, 'node_modules/ftp-srv'));
  if (!isInstalled) console.warn(`skipped: ftp-srv is not in ${folder} (test/peers/install.sh installs it)`);
  return isInstalled;
}

/** Whoever logs in gets the folder. Every data connection is a TLS server of its own, which resumes nothing. */
const program = `
const { createRequire } = require('node:module');
const { FtpSrv } = createRequire(process.argv[2] + '/')('ftp-srv');
const { readFileSync } = require('node:fs');
const [, , , directory, ip, port, low] = process.argv;
const server = new FtpSrv({
  url: 'ftp://' + ip + ':' + port, pasv_url: ip, pasv_min: Number(low), pasv_max: Number(low) + 50,
  tls: { cert: readFileSync(directory + '/cert.pem'), key: readFileSync(directory + '/key.pem') },
});
server.on('login', (_login, resolve) => resolve({ root: directory + '/root' }));
server.listen();
`;

/** Starts ftp-srv, which serves IPv4 alone. */
export async function startFtpSrv(credentials: Credentials, where?: FtpServerPlace): Promise<StartedFtpServer> {
  const place = await prepareFtpPlace('ftp-srv', credentials, where);
  const { directory, port } = place;
  const file = join(directory, 'server.cjs');
  writeFileSync(file, program);
  const low = where === undefined ? await freePort() : 30_000;
  const args = [file, folder, directory, where?.addresses.ipv4 ?? '127.0.0.1', String(port), String(low)];
  return startInFtpPlace(place, process.execPath, args);
}
