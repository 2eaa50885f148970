import { join } from 'node:path';
import { launch } from '../child.ts';
import type { System } from '../system.ts';
import { versionOf } from './version.ts';

const port = 18_101;

/**
 * SSLsplit with a fixed destination, without logs, with one P-256 key for all leafs (its default is RSA-2048). Its `https`
 * mode ends every connection after one exchange, so it copies bytes (`ssl`).
 */
export const sslsplit: System = {
  name: 'sslsplit',
  title: 'SSLsplit (no logs, no origin verification)',
  version: () => versionOf('sslsplit', ['-V'], /SSLsplit [\d.]+/),
  async start(site, folder) {
    const keys = ['-c', site.proxyCa, '-k', site.proxyCaKey, '-K', site.staticKey];
    const child = await launch({
      command: 'sslsplit',
      args: [...keys, '-u', 'root', 'ssl', '127.0.0.1', String(port), site.ip, String(site.originPort)],
      log: join(folder, 'log'),
      port,
    });
    return { child, port, mode: 'direct', caFile: site.proxyCa };
  },
};
