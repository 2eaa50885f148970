import { createServer, type Socket } from 'node:net';
import { dialTcp } from '../../src/net/dial.ts';
import { acceptOn, openListeningSockets } from '../../src/net/listen.ts';
import { originalDestination, remoteAddressOf } from '../../src/net/original-destination.ts';
import { createOwnAddressCheck } from '../../src/net/own-addresses.ts';
import { splice } from '../../src/net/splice.ts';

/**
 * The least gateway: forwards captured connections unread and prints where each was going, or its failure. Arguments:
 * `redirect` or `tproxy`, port, and an option: `spoof` connects
 * from the client's address, `mark` with packet mark 2, `unprivileged` gives root up first.
 */
const [capture = '', portText = '', option = ''] = process.argv.slice(2);
if (capture !== 'redirect' && capture !== 'tproxy') throw new Error('say redirect or tproxy');
if (option === 'unprivileged') {
  process.setgroups?.([]);
  process.setgid?.('daemon');
  process.setuid?.('daemon');
}
const listen = { ip: '::', port: Number(portText) };
const isOwn = createOwnAddressCheck([listen]);
const [fd] = openListeningSockets(listen, 1, { transparent: capture === 'tproxy' });

async function forward(client: Socket, kind: 'redirect' | 'tproxy'): Promise<void> {
  client.on('error', () => {});
  const from = remoteAddressOf(client);
  const to = originalDestination(client, kind);
  print({ client: from.ip, destination: to });
  const origin = await dialTcp(
    { host: to.ip, port: to.port, ip: to.ip },
    {
      timeoutMs: 5_000,
      forbidden: (address) => (isOwn(address) ? 'POLICY_LOOP' : undefined),
      ...(option === 'spoof' ? { spoof: from } : {}),
      ...(option === 'mark' ? { mark: 0x2 } : {}),
    },
  );
  await splice(client, origin, { idleTimeoutMs: 5_000 });
}

function print(fact: object): void {
  console.log(JSON.stringify(fact));
}

const server = createServer({ allowHalfOpen: true }, (client) => {
  forward(client, capture).catch((error: Error) => {
    print({ failure: error.message });
    client.destroy();
  });
});
await acceptOn(server, listen, fd);
console.log('ready');
