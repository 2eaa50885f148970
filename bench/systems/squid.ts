import { execFileSync } from 'node:child_process';
import { chownSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { launch } from '../child.ts';
import type { Site } from '../site.ts';
import type { System } from '../system.ts';
import { versionOf } from './version.ts';

const port = 18_102;
const certificateTool = '/usr/lib/squid/security_file_certgen';

/** Squid as an explicit proxy with SslBump (peek, then bump), access log on, cache off. */
export const squid: System = {
  name: 'squid',
  title: 'Squid SslBump (access log on)',
  version: () => versionOf('squid', ['-v'], /Version [\d.]+/)?.replace('Version', 'Squid'),
  async start(site, folder) {
    execFileSync(certificateTool, ['-c', '-s', join(folder, 'certificates'), '-M', '4MB'], { stdio: 'ignore' });
    const configuration = join(folder, 'squid.conf');
    writeFileSync(configuration, squidConfiguration(site, folder));
    if (process.getuid?.() === 0) giveToProxyUser(folder);
    const child = await launch({ command: 'squid', args: ['-N', '-f', configuration], log: join(folder, 'log'), port });
    return { child, port, mode: 'connect', caFile: site.proxyCa };
  },
};

function squidConfiguration(site: Site, folder: string): string {
  return `
http_port 127.0.0.1:${port} ssl-bump generate-host-certificates=on dynamic_cert_mem_cache_size=4MB tls-cert=${site.proxyCaBoth}
sslcrtd_program ${certificateTool} -s ${folder}/certificates -M 4MB
sslcrtd_children 2 startup=1
tls_outgoing_options cafile=${site.originCa}
acl step1 at_step SslBump1
ssl_bump peek step1
ssl_bump bump all
http_access allow all
cache deny all
cache_mem 8 MB
access_log stdio:${folder}/access.log squid
cache_log ${folder}/cache.log
pid_filename none
coredump_dir ${folder}
shutdown_lifetime 0 seconds
pinger_enable off
visible_hostname bench
dns_nameservers 127.0.0.1
`;
}

/** Squid started as root writes as the user \`proxy\`. */
function giveToProxyUser(folder: string): void {
  const uid = Number(execFileSync('id', ['-u', 'proxy'], { encoding: 'utf8' }));
  execFileSync('chown', ['-R', String(uid), folder]);
  chownSync(folder, uid, -1);
}
