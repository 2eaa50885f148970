import { type ConnectionOptions, createServer, type TlsOptions } from 'node:tls';
import { afterAll, describe, expect, onTestFinished, test } from 'vitest';
import type { OriginException } from '../../src/core/policy.ts';
import type { FlowFacts } from '../../src/core/record.ts';
import { labKey, labLeaf, labRoot } from '../pki/support/lab.ts';
import { startDataPlane, type TestDataPlane } from '../support/data-plane.ts';
import { waitUntil } from '../support/gateway.ts';
import { talk } from '../support/raw-client.ts';
import { listening } from '../support/tcp.ts';

const root = labRoot();
const leaf = labLeaf(root, { names: ['localhost'] });

describe('an origin leg is never weaker than what its client offers at least', () => {
  test('TLS 1.3 alone: an origin of TLS 1.2 is refused, and served to a client that takes it', async () => {
    const port = await origin({ maxVersion: 'TLSv1.2' });
    const refused = await flowThrough(port, { minVersion: 'TLSv1.3' });
    expect(refused.failure).toBe('ORIGIN_TLS_TOO_WEAK');
    expect((await flowThrough(port, {})).originTls?.version).toBe('TLSv1.2');
  });

  test('256 bits alone: an origin of AES-128 is refused, and one that has both uses the stronger', async () => {
    const ciphers = 'TLS_AES_256_GCM_SHA384:ECDHE-ECDSA-AES256-GCM-SHA384';
    const weak = await origin({ ciphers: 'TLS_AES_128_GCM_SHA256:ECDHE-ECDSA-AES128-GCM-SHA256' });
    expect((await flowThrough(weak, { ciphers })).failure).toBe('ORIGIN_HANDSHAKE_FAILED');
    const both = await origin({ ciphers: 'TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384', honorCipherOrder: true });
    expect((await flowThrough(both, { ciphers })).originTls?.cipher).toBe('TLS_AES_256_GCM_SHA384');
    expect((await flowThrough(both, {})).originTls?.cipher).toBe('TLS_AES_128_GCM_SHA256');
  });

  test('hybrid groups alone: an origin without them is refused', async () => {
    const classical = await origin({ ecdhCurve: 'X25519:P-256' });
    const hybrid = await origin({ ecdhCurve: 'X25519MLKEM768:X25519' });
    const client = { ecdhCurve: 'X25519MLKEM768' };
    expect((await flowThrough(classical, client)).failure).toBe('ORIGIN_HANDSHAKE_FAILED');
    expect((await flowThrough(hybrid, client)).failure).toBeUndefined();
  });

  test('the group that was agreed is the hybrid one where the origin has it, and in the record', async () => {
    const groupWith = async (options: TlsOptions): Promise<string | undefined> =>
      (await flowThrough(await origin(options), {})).originTls?.group;
    expect(await groupWith({ ecdhCurve: 'X25519MLKEM768:X25519:P-256' })).toBe('X25519MLKEM768');
    expect(await groupWith({ ecdhCurve: 'X25519:P-256' })).toBe('X25519');
    expect(await groupWith({ ecdhCurve: 'P-384', maxVersion: 'TLSv1.2' })).toBe('secp384r1');
  });

  test('a named exception for an old origin stands, and is in the record', async () => {
    const port = await origin({ maxVersion: 'TLSv1.2', ciphers: 'AES128-GCM-SHA256' }, true);
    const client = { minVersion: 'TLSv1.3' } as const;
    const flow = await flowThrough(port, client, ['rsa-key-exchange']);
    expect(flow.failure).toBeUndefined();
    expect(flow.originExceptions).toEqual(['old device: rsa-key-exchange']);
    expect(flow.originTls).toMatchObject({ version: 'TLSv1.2', cipher: 'AES128-GCM-SHA256', group: undefined });
    expect((await flowThrough(port, {})).failure).toMatch(/^ORIGIN_/);
  });
});

/** One plane for each set of exceptions: to make an authority takes longer than all flows through it. */
const planes = new Map<string, TestDataPlane>();
afterAll(async () => {
  for (const plane of planes.values()) await plane[Symbol.asyncDispose]();
});

async function planeFor(allow: OriginException['allow']): Promise<TestDataPlane> {
  const known = planes.get(allow.join());
  if (known !== undefined) return known;
  const plane = await startDataPlane({
    originTrust: { rootsPem: [root.pem] },
    originExceptions: allow.length === 0 ? [] : [{ hosts: ['localhost'], allow, reason: 'old device' }],
  });
  planes.set(allow.join(), plane);
  return plane;
}

/** A TLS origin that answers every connection, on a free port. */
async function origin(options: TlsOptions, rsa = false): Promise<number> {
  const own = rsa ? labLeaf(root, { names: ['localhost'], key: labKey('rsa2048') }) : leaf;
  const server = createServer({ cert: own.pem, key: own.keyPem, ...options }, (socket) => {
    socket.on('error', () => {});
    socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n'));
  });
  server.on('tlsClientError', () => {});
  onTestFinished(() => void server.close());
  return listening(server);
}

async function flowThrough(
  port: number,
  tls: ConnectionOptions,
  allow: OriginException['allow'] = [],
): Promise<FlowFacts> {
  const plane = await planeFor(allow);
  const before = plane.flows.length;
  await talk(plane.port, {
    before: `CONNECT localhost:${port} HTTP/1.1\r\nHost: localhost:${port}\r\n\r\n`,
    until: '\r\n\r\n',
    tls: { servername: 'localhost', ...tls },
    say: 'GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n',
  });
  await waitUntil(
    () => plane.flows.length > before,
    () => 'the flow does not end',
  );
  const flow = plane.flows[before];
  if (flow === undefined) throw new Error('no flow');
  return flow;
}
