import { join } from 'node:path';
import { launch } from '../child.ts';
import type { System } from '../system.ts';
import { versionOf } from './version.ts';

/** SSLsplit as it comes: one RSA-2048 key for all leafs. */
export const sslsplit = sslsplitWith('sslsplit', 'SSLsplit (no logs, no origin verification)', 18_101, () => []);

/** SSLsplit told to use a P-256 key for all leafs, which costs less for each session. */
export const sslsplitP256 = sslsplitWith('sslsplit-p256', 'SSLsplit with a P-256 leaf key', 18_109, (key) => [
  '-K',
  key,
]);

/** With a fixed destination. Its `https` mode ends every connection after one exchange, so it copies bytes (`ssl`). */
function sslsplitWith(name: string, title: string, port: number, options: (p256Key: string) => string[]): System {
  return {
    name,
    title,
    version: () => versionOf('sslsplit', ['-V'], /SSLsplit [\d.]+/),
    async start(site, folder) {
      const keys = ['-c', site.proxyCa, '-k', site.proxyCaKey, ...options(site.staticKey)];
      const child = await launch({
        command: 'sslsplit',
        args: [...keys, '-u', 'root', 'ssl', '127.0.0.1', String(port), site.ip, String(site.originPort)],
        log: join(folder, 'log'),
        port,
      });
      return { child, port, mode: 'direct', caFile: site.proxyCa };
    },
  };
}
