import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort, type RunningGateway, startGateway } from '../support/gateway.ts';
import { startOrigin, type TestOrigin } from '../support/https-origin.ts';
import { hasProgram, run } from '../support/run.ts';
import { type Credentials, createTestAuthority, type TestAuthority } from '../support/test-authority.ts';

const hourMs = 3_600_000;
let authority: TestAuthority;
let stranger: TestAuthority;
let closing: RunningGateway;
let warning: RunningGateway;
let closingPort: number;
let warningPort: number;

async function gatewayWith(port: number, config: object): Promise<RunningGateway> {
  return startGateway({
    files: { 'roots.pem': authority.rootPem },
    config: {
      listeners: [{ mode: 'explicit', listen: `127.0.0.1:${port}` }],
      originTrust: { system: false, files: ['$DIRECTORY/roots.pem'] },
      ...config,
    },
  });
}

beforeAll(async () => {
  authority = await createTestAuthority();
  stranger = await createTestAuthority('Stranger Root');
  closingPort = await freePort();
  closing = await gatewayWith(closingPort, {});
  warningPort = await freePort();
  warning = await gatewayWith(warningPort, { onOriginFailure: 'warn' });
});

afterAll(async () => {
  await closing?.[Symbol.asyncDispose]();
  await warning?.[Symbol.asyncDispose]();
});

const badOrigins: readonly [string, string, () => Promise<Credentials>][] = [
  [
    'expired',
    'ORIGIN_CERT_EXPIRED',
    () => authority.issue({ names: ['localhost'], validFromMs: -2 * hourMs, validForMs: hourMs }),
  ],
  ['not yet valid', 'ORIGIN_CERT_NOT_YET_VALID', () => authority.issue({ names: ['localhost'], validFromMs: hourMs })],
  ['of an unknown authority', 'ORIGIN_CERT_UNTRUSTED', () => stranger.issue({ names: ['localhost'] })],
  ['for another name', 'ORIGIN_CERT_NAME_MISMATCH', () => authority.issue({ names: ['other.example'] })],
];

describe.runIf(hasProgram('curl'))('an origin that fails its check', () => {
  it.each(badOrigins)(
    '%s ends the client with an alert, %s, and gets no application byte',
    async (_what, code, make) => {
      await using origin: TestOrigin = await startOrigin(await make());
      const url = `https://localhost:${origin.port}/secret?token=never`;
      const ran = await run('curl', [
        '-sS',
        '-k',
        '--max-time',
        '10',
        '--proxy',
        `http://127.0.0.1:${closingPort}`,
        url,
      ]);
      // Even with -k curl fails: some versions call the certificate_expired alert a failed verification.
      expect([35, 60]).toContain(ran.code);
      expect(ran.stdout).toBe('');
      expect(origin.bytesReceived()).toBe(0);
      const records = await closing.waitForRecords('traffic', (all) =>
        all.some(
          (record) => JSON.stringify(record).includes(`:${origin.port}`) || JSON.stringify(record).includes(code),
        ),
      );
      expect(JSON.stringify(records)).toContain(code);
    },
  );

  it.each(badOrigins)(
    '%s gives, by policy, a leaf of the untrusted authority with a page that names %s',
    async (_what, code, make) => {
      await using origin: TestOrigin = await startOrigin(await make());
      const url = `https://localhost:${origin.port}/secret`;
      const proxy = ['--max-time', '10', '--proxy', `http://127.0.0.1:${warningPort}`];
      const careful = await run('curl', ['-sS', '--cacert', warning.caFile, ...proxy, url]);
      expect(careful.code).toBe(60);
      const careless = await run('curl', ['-sS', '-k', ...proxy, url]);
      expect(careless.code).toBe(0);
      expect(careless.stdout).toContain(code);
      expect(origin.bytesReceived()).toBe(0);
    },
  );

  it('a port that does not speak TLS is told as such', async () => {
    await using origin = await startOrigin(undefined);
    const ran = await run('curl', [
      '-sS',
      '-k',
      '--proxy',
      `http://127.0.0.1:${closingPort}`,
      `https://localhost:${origin.port}/`,
    ]);
    expect(ran.code).toBe(35);
    await closing.waitForRecords('traffic', (all) => JSON.stringify(all).includes('ORIGIN_NOT_TLS'));
  });

  it('a stalled handshake ends within its limit', async () => {
    const { createServer } = await import('node:net');
    const silent = createServer(() => {}).listen(0, '127.0.0.1');
    await new Promise((resolve) => silent.once('listening', resolve));
    const address = silent.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const client = connect(closingPort, '127.0.0.1');
    client.on('error', () => {});
    client.write(`CONNECT localhost:${port} HTTP/1.1\r\nHost: localhost:${port}\r\n\r\n`);
    await new Promise((resolve) => client.once('data', resolve));
    client.destroy();
    await closing.waitForRecords('traffic', (all) => JSON.stringify(all).includes('CLIENT_GONE'));
    silent.close();
  });
});
