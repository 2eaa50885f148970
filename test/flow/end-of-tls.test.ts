import type { ConnectionOptions } from 'node:tls';
import { expect, it } from 'vitest';
import type { PolicyDocument } from '../../src/core/policy.ts';
import { startDataPlane } from '../support/data-plane.ts';
import { policyDocument } from '../support/policy.ts';
import { type RawConnection, startRawOrigin } from '../support/raw-origin.ts';
import { createTestAuthority } from '../support/test-authority.ts';
import { openTlsTunnel } from '../support/tunnel.ts';

const body = 'x'.repeat(40_000);
const head = 'HTTP/1.1 200 OK\r\n\r\n';

/** How an origin ends what only the end of its connection ends. */
const endings: Record<string, (connection: RawConnection) => void> = {
  '/whole': ({ socket }) => socket.end(),
  // The end of TCP alone, at a record boundary: what an attacker on the way can do, too.
  '/cut': ({ transport }) => transport.end(),
};

function answer(connection: RawConnection, request: string): void {
  const path = request.split(' ')[1] ?? '';
  connection.socket.write(`${head}${body}`, () => endings[path]?.(connection));
}

/** Asks in a tunnel of its own; resolves with the body, and with whether the connection broke. */
async function ask(port: number, originPort: number, options: ConnectionOptions, path: string) {
  const client = await openTlsTunnel(port, `localhost:${originPort}`, options);
  let bytes = -head.length;
  let broke = false;
  client.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
  });
  client.on('error', () => {
    broke = true;
  });
  const closed = new Promise((resolve) => client.once('end', resolve).once('close', resolve));
  client.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  await closed;
  client.destroy();
  return { bytes, broke };
}

async function exchanges(
  allow: readonly 'missing-close-notify'[],
  paths: readonly string[],
  changes: Partial<PolicyDocument> = {},
  options: ConnectionOptions = {},
) {
  const authority = await createTestAuthority();
  await using origin = await startRawOrigin(await authority.issue({ names: ['localhost'] }), answer);
  await using plane = await startDataPlane({
    originTrust: { rootsPem: [authority.rootPem] },
    originExceptions: allow.length === 0 ? [] : [{ hosts: ['localhost'], allow, reason: 'old' }],
    ...changes,
  });
  const outcomes: unknown[] = [];
  for (const [index, path] of paths.entries()) {
    const { bytes, broke } = await ask(plane.port, origin.port, { ca: plane.ca, ...options }, path);
    await expect.poll(() => plane.transactions.length).toBe(index + 1);
    const { complete, failure } = plane.transactions[index]?.outcome ?? {};
    outcomes.push([path, bytes === body.length && !broke, complete, failure]);
  }
  return outcomes;
}

it('a body that the end of the connection ends is cut short unless TLS was ended, once the origin is known to send such', async () => {
  expect(await exchanges([], ['/whole', '/whole', '/cut', '/whole'])).toEqual([
    ['/whole', true, true, undefined],
    ['/whole', true, true, undefined],
    ['/cut', false, false, 'ORIGIN_TRUNCATED'],
    ['/whole', true, true, undefined],
  ]);
});

it('and so it is where TLS may end in mid-stream, for clients whose protocol is not known before they speak', async () => {
  const { files } = policyDocument();
  const changes = { files: { ...files, clearCommandChannel: 'allow' as const } };
  expect(await exchanges([], ['/whole', '/cut'], changes, { ALPNProtocols: [] })).toEqual([
    ['/whole', true, true, undefined],
    ['/cut', false, false, 'ORIGIN_TRUNCATED'],
  ]);
});

it('an origin that is known never to end TLS is taken at the end of TCP by an exception', async () => {
  expect(await exchanges(['missing-close-notify'], ['/cut', '/cut'])).toEqual([
    ['/cut', true, true, undefined],
    ['/cut', true, true, undefined],
  ]);
});
