import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { launch } from '../child.ts';
import type { Site } from '../site.ts';
import type { System } from '../system.ts';
import { versionOf } from './version.ts';

const port = 18_104;
const http2Port = 18_118;

/** HAProxy terminating TLS with a certificate made in advance and encrypting again: what no interception costs in C. */
export const haproxy: System = {
  name: 'haproxy',
  title: 'HAProxy (static certificate, no interception)',
  version: () => versionOf('haproxy', ['-v'], /HAProxy version [\d.]+/)?.replace('version ', ''),
  async start(site, folder) {
    const configuration = join(folder, 'haproxy.cfg');
    writeFileSync(configuration, haproxyConfiguration(site));
    const child = await launch({
      command: 'haproxy',
      args: ['-db', '-f', configuration],
      log: join(folder, 'log'),
      port,
    });
    return { child, port, http2Port, mode: 'direct', caFile: site.proxyCa };
  },
};

function haproxyConfiguration(site: Site): string {
  return `
global
  maxconn 1000
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  http-reuse never
frontend clients
  bind 127.0.0.1:${port} ssl crt ${site.staticBoth} alpn http/1.1
  default_backend origin
frontend http2_clients
  bind 127.0.0.1:${http2Port} ssl crt ${site.staticBoth} alpn h2
  default_backend http2_origin
backend origin
  server origin ${site.ip}:${site.originPort} ssl verify required ca-file ${site.originCa} sni str(${site.host}) verifyhost ${site.host} no-ssl-reuse
backend http2_origin
  server origin ${site.ip}:${site.originPort} ssl alpn h2 verify required ca-file ${site.originCa} sni str(${site.host}) verifyhost ${site.host} no-ssl-reuse
`;
}
