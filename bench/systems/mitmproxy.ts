import { copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { launch } from '../child.ts';
import type { System } from '../system.ts';
import { versionOf } from './version.ts';

const port = 18_103;

/** mitmdump as an explicit proxy, printing nothing (its default prints a line for each request). */
export const mitmproxy: System = {
  name: 'mitmproxy',
  title: 'mitmproxy (mitmdump -q)',
  version: () => versionOf('mitmdump', ['--version'], /Mitmproxy: [\d.]+/)?.replace('Mitmproxy:', 'mitmproxy'),
  async start(site, folder) {
    const settings = join(folder, 'settings');
    mkdirSync(settings);
    copyFileSync(site.proxyCaBoth, join(settings, 'mitmproxy-ca.pem'));
    const options = [`confdir=${settings}`, `ssl_verify_upstream_trusted_ca=${site.originCa}`];
    const child = await launch({
      command: 'mitmdump',
      args: ['-q', '--listen-host', '127.0.0.1', '-p', String(port), ...options.flatMap((option) => ['--set', option])],
      log: join(folder, 'log'),
      port,
    });
    return { child, port, http2Port: port, mode: 'connect', caFile: site.proxyCa };
  },
};
