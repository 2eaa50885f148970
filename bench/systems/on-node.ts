import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { launch } from '../child.ts';
import type { System } from '../system.ts';

const bench = join(dirname(fileURLToPath(import.meta.url)), '..');
const peers = process.env.DAYLIGHT_BENCH_PEERS ?? join(bench, 'out', 'peers');
const pipePort = 18_105;
const mitmPort = 18_106;

/** Two TLS sockets piped to each other. */
export const pipedSockets: System = {
  name: 'piped-sockets',
  title: 'two TLSSockets piped, no parsing',
  compilesAsItRuns: true,
  version: () => `Node ${process.versions.node}`,
  async start(site, folder) {
    const { ip, originPort, host, staticCertificate, staticKey, originCa } = site;
    const args = [String(pipePort), ip, String(originPort), host, staticCertificate, staticKey, originCa];
    const child = await launch({
      command: process.execPath,
      args: [join(bench, 'processes', 'piped-sockets.ts'), ...args],
      log: join(folder, 'log'),
      port: pipePort,
    });
    return { child, port: pipePort, mode: 'direct', caFile: site.proxyCa };
  },
};

/** http-mitm-proxy, on the same Node. It makes its own CA (RSA). */
export const httpMitmProxy: System = {
  name: 'http-mitm-proxy',
  title: 'http-mitm-proxy',
  compilesAsItRuns: true,
  version: () =>
    existsSync(join(peers, 'node_modules', 'http-mitm-proxy'))
      ? `http-mitm-proxy 1.1.0 on Node ${process.versions.node}`
      : undefined,
  async start(site, folder) {
    const authority = join(folder, 'authority');
    const child = await launch({
      command: process.execPath,
      args: [join(bench, 'processes', 'http-mitm-proxy.ts'), String(mitmPort), peers, authority, site.originCa],
      log: join(folder, 'log'),
      port: mitmPort,
    });
    return { child, port: mitmPort, mode: 'connect', caFile: join(authority, 'certs', 'ca.pem') };
  },
};
