import { createServer as createTcpServer } from 'node:net';
import { connect as connectTls, createServer as createTlsServer, type TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { OriginFailureAction, PolicyDocument } from '../../src/core/policy.ts';
import { startDataPlane } from '../support/data-plane.ts';
import { freePort } from '../support/gateway.ts';
import { startOrigin, type TestOrigin } from '../support/https-origin.ts';
import { policyDocument } from '../support/policy.ts';
import { createTestAuthority, type TestAuthority } from '../support/test-authority.ts';
import { openTunnel } from '../support/tunnel.ts';

const hourMs = 3_600_000;
const names = Array.from({ length: 12 }, (_, index) => `n${index}.example`);
let authority: TestAuthority;
let expired: TestOrigin;
let current: TestOrigin;

beforeAll(async () => {
  authority = await createTestAuthority();
  current = await startOrigin(await authority.issue({ names: ['localhost'] }));
  expired = await startOrigin(
    await authority.issue({ names: ['localhost', ...names], validFromMs: -50 * hourMs, validForMs: hourMs }),
  );
});
afterAll(async () => {
  await expired?.[Symbol.asyncDispose]();
  await current?.[Symbol.asyncDispose]();
});

interface Outcome {
  /** Names of the certificate that the client met; undefined when it met an alert. */
  readonly issuer: string | undefined;
  readonly answer: string;
  readonly flow: Record<string, unknown>;
}

/** A client that goes on whatever it meets: what it sees is what the gateway let through. */
async function visit(
  changes: Partial<PolicyDocument>,
  { host = 'localhost', servername = 'localhost', port = expired.port } = {},
): Promise<Outcome> {
  await using plane = await startDataPlane({ originTrust: { rootsPem: [authority.rootPem] }, ...changes });
  const socket = await openTunnel(plane.port, `${host}:${port}`);
  const client: TLSSocket = connectTls({ socket, servername, rejectUnauthorized: false, ALPNProtocols: ['http/1.1'] });
  let issuer: string | undefined;
  client
    .on('error', () => {})
    .once('secureConnect', () => {
      issuer = client.getPeerX509Certificate()?.issuer;
      client.write('GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n');
    });
  let answer = '';
  client.on('data', (chunk: Buffer) => {
    answer += chunk.toString('latin1');
  });
  await new Promise((resolve) => client.once('end', resolve).once('close', resolve));
  client.destroy();
  await expect.poll(() => plane.flows.length).toBe(1);
  return { issuer, answer, flow: plane.flows[0] as unknown as Record<string, unknown> };
}

function byDefault(onOriginFailure: OriginFailureAction): Partial<PolicyDocument> {
  return { tls: { ...policyDocument().tls, onOriginFailure } };
}

const entry = (hosts: readonly string[], action: OriginFailureAction) => ({ hosts, action, reason: 'test' });
const asset = { id: 'lab', kind: 'cvm', detect: true, addresses: ['127.0.0.0/8'], hosts: [] } as const;
const bypassed = {
  decision: { kind: 'bypass', reason: 'origin failure: ORIGIN_CERT_EXPIRED' },
  bypassedFailure: { code: 'ORIGIN_CERT_EXPIRED', detail: expect.stringMatching(/./) },
  failure: undefined,
  decrypted: false,
};

describe('an origin whose certificate has expired', () => {
  it('is judged by the client itself where policy says bypass', async () => {
    const { issuer, answer, flow } = await visit(byDefault('bypass'));
    expect(issuer).toBe('CN=Test Root');
    expect(answer).toContain('200 OK');
    expect(flow).toMatchObject(bypassed);
  });

  it.each([
    ['an asset says so', { assets: [{ ...asset, onOriginFailure: 'bypass' as const }] }],
    ['an entry for the host says so', { originFailures: [entry(['localhost'], 'bypass')] }],
    [
      'the entry of the host says so and the asset otherwise',
      {
        assets: [{ ...asset, onOriginFailure: 'close' as const }],
        originFailures: [entry(['localhost'], 'bypass')],
      },
    ],
  ])('is passed on where %s', async (_what, changes) => {
    expect((await visit(changes)).flow).toMatchObject(bypassed);
  });

  it.each([
    [
      'the asset says close and the default bypass',
      { ...byDefault('bypass'), assets: [{ ...asset, onOriginFailure: 'close' as const }] },
    ],
    ['an earlier entry says close', { originFailures: [entry(['localhost'], 'close'), entry(['*'], 'bypass')] }],
  ])('is closed where %s', async (_what, changes) => {
    const { issuer, flow } = await visit(changes);
    expect(issuer).toBeUndefined();
    expect(flow).toMatchObject({ failure: 'ORIGIN_CERT_EXPIRED', decision: { kind: 'intercept' } });
  });

  it('is closed all the same when it is of our own authority, which the client trusts', async () => {
    const { issuer, flow } = await visit(
      {
        ...byDefault('bypass'),
        originTrust: { rootsPem: [authority.rootPem], ownPem: [authority.rootPem] },
      },
      { port: current.port },
    );
    expect(issuer).toBeUndefined();
    expect(flow).toMatchObject({ failure: 'ORIGIN_CERT_OWN_AUTHORITY', decision: { kind: 'intercept' } });
  });

  it('is told with code and facts where policy says warn', async () => {
    const { issuer, answer } = await visit({ assets: [{ ...asset, onOriginFailure: 'warn' }] });
    expect(issuer).toContain('UNTRUSTED');
    expect(answer).toContain('Daylight-Failure: ORIGIN_CERT_EXPIRED');
    expect(answer).toMatch(/<dt>Expired since<\/dt><dd>\d{4}-\d\d-\d\d \d\d:\d\d UTC \(2 days\)/);
    expect(answer).toContain('<dt>Asked for</dt><dd>localhost</dd>');
    expect(answer).toMatch(/<dt>Names in the certificate<\/dt><dd>localhost, n0.example, .*and 3 more</);
    expect(answer).toContain('<dt>Issued by</dt><dd>CN=Test Root</dd>');
  });
});

describe('a name that only the ClientHello says', () => {
  it('makes a destination that policy closes no bypass', async () => {
    const { flow } = await visit(
      { originFailures: [entry(['exempt.example'], 'bypass')] },
      { servername: 'exempt.example' },
    );
    expect(flow).toMatchObject({ failure: 'ORIGIN_CERT_EXPIRED', decision: { kind: 'intercept' } });
  });

  it('makes a destination that policy bypasses stricter', async () => {
    const { flow } = await visit(
      { ...byDefault('bypass'), originFailures: [entry(['strict.example'], 'close')] },
      { servername: 'strict.example' },
    );
    expect(flow).toMatchObject({ failure: 'ORIGIN_CERT_EXPIRED' });
  });

  it('is passed on to where it leads, not to the address that the client chose', async () => {
    const port = await freePort();
    const credentials = await (await createTestAuthority('Elsewhere')).issue({ names: ['x'] });
    const chosen = createTlsServer(credentials, (socket) => socket.on('error', () => {}).destroy());
    await new Promise<void>((resolve) => chosen.listen(port, '127.0.0.9', resolve));
    const there = createTcpServer((socket) => socket.on('error', () => {}).destroy());
    await new Promise<void>((resolve) => there.listen(port, '127.0.0.1', resolve));
    const { flow } = await visit({ originFailures: [entry(['localhost'], 'bypass')] }, { host: '127.0.0.9', port });
    there.close();
    chosen.close();
    expect(flow).toMatchObject({ origin: { ip: '127.0.0.1' }, bypassedFailure: { code: 'ORIGIN_CERT_UNTRUSTED' } });
  });

  it('that leads nowhere exempts nothing', async () => {
    const { flow } = await visit(
      { originFailures: [entry(['exempt.invalid'], 'bypass')] },
      { host: '127.0.0.1', servername: 'exempt.invalid' },
    );
    expect(flow).toMatchObject({ failure: 'ORIGIN_CERT_EXPIRED', decision: { kind: 'intercept' } });
  });
});
