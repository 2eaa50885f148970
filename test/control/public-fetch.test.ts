import { expect, it } from 'vitest';
import { hasProgram, run } from '../support/run.ts';

/** In a network of its own where a public address is on the loopback: a server there, and the fetcher of control. */
const program = `
import { createServer } from 'node:http';
import { Fetcher } from ${JSON.stringify(new URL('../../src/control/revocation/fetcher.ts', import.meta.url).href)};
const settings = { directory: '', allowAddresses: [], ownListeners: [], upstream: undefined, fetchMs: 5_000 };
const server = createServer((request, response) => response.end('answer of ' + request.headers.host));
server.listen(80, '::', async () => {
  const fetcher = new Fetcher(settings);
  for (const host of ['8.8.4.4', '[2001:4860:4860::8844]', '10.0.0.1', '[fd00::1]']) {
    const fetched = await fetcher.fetch({ url: 'http://' + host + '/a.crl', maximumBytes: 100 });
    console.log(fetched.kind === 'ok' ? String(fetched.body) : fetched.kind + ' ' + fetched.detail);
  }
  process.exit();
});`;

const addresses = ['8.8.4.4/32', '10.0.0.1/32', '2001:4860:4860::8844/128', 'fd00::1/128'];
const isRoot = process.getuid?.() === 0;

it.runIf(isRoot && hasProgram('unshare') && hasProgram('ip'))(
  'what certificates point to is fetched from public addresses of either family, and from no other',
  { timeout: 60_000 },
  async () => {
    const setUp = ['ip link set lo up', ...addresses.map((address) => `ip addr add ${address} dev lo`)].join(' && ');
    const inside = `${setUp} && exec "$0" --no-warnings --input-type=module -e "$1"`;
    const ran = await run('unshare', ['-n', 'sh', '-c', inside, process.execPath, program], { timeoutMs: 45_000 });
    expect(ran.stdout.trimEnd().split('\n')).toEqual([
      'answer of 8.8.4.4',
      'answer of [2001:4860:4860::8844]',
      'refused address is not public',
      'refused address is not public',
    ]);
  },
);
