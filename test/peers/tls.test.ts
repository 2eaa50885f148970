import { X509Certificate } from 'node:crypto';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { clientHelloBytes } from '../support/client-hello-bytes.ts';
import { freePort, type RunningGateway, startGateway } from '../support/gateway.ts';
import { startOrigin, type TestOrigin } from '../support/https-origin.ts';
import { hasProgram, run } from '../support/run.ts';
import { createTestAuthority } from '../support/test-authority.ts';

const begun = Date.now();
let modern: RunningGateway;
let legacy: RunningGateway;
let origin: TestOrigin;
let modernPort: number;
let legacyPort: number;

beforeAll(async () => {
  const authority = await createTestAuthority();
  origin = await startOrigin(
    await authority.issue({
      names: ['localhost', 'a.localhost', `${'long-label-'.repeat(5)}x.${'deep.'.repeat(8)}example`, '127.0.0.1'],
    }),
  );
  modernPort = await freePort();
  legacyPort = await freePort();
  const common = { originTrust: { system: false, files: ['$DIRECTORY/roots.pem'] } };
  const files = { 'roots.pem': authority.rootPem };
  modern = await startGateway({
    files,
    config: { ...common, relays: 2, listeners: [{ mode: 'explicit', listen: `127.0.0.1:${modernPort}` }] },
  });
  legacy = await startGateway({
    files,
    config: {
      ...common,
      authority: { directory: '$DIRECTORY/certs', backdate: false },
      tls: { client: { keyExchange: ['ecdhe', 'dhe', 'rsa'] } },
      listeners: [{ mode: 'explicit', listen: `127.0.0.1:${legacyPort}` }],
    },
  });
});

afterAll(async () => {
  await modern?.[Symbol.asyncDispose]();
  await legacy?.[Symbol.asyncDispose]();
  await origin?.[Symbol.asyncDispose]();
});

const sClient = (gateway: RunningGateway, port: number, ...args: string[]) =>
  run(
    'openssl',
    [
      's_client',
      '-proxy',
      `127.0.0.1:${port}`,
      '-connect',
      `localhost:${origin.port}`,
      '-servername',
      'localhost',
      '-CAfile',
      gateway.caFile,
      '-verify_return_error',
      ...args,
    ],
    { input: 'GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' },
  );

describe.runIf(hasProgram('openssl'))('the client leg, with openssl s_client', () => {
  it.each([
    ['TLS 1.3', ['-tls1_3'], 'TLSv1.3'],
    ['TLS 1.2', ['-tls1_2'], 'TLSv1.2'],
    ['a client of TLS 1.2 that takes only RSA', ['-tls1_2', '-sigalgs', 'RSA+SHA256'], 'Peer signature type: RSA'],
    [
      'a client of TLS 1.3 that takes only RSA',
      ['-tls1_3', '-sigalgs', 'rsa_pss_rsae_sha256:RSA+SHA256'],
      'Peer signature type: RSA-PSS',
    ],
    [
      'an ECDSA client',
      ['-tls1_3', '-sigalgs', 'ECDSA+SHA256:rsa_pss_rsae_sha256:RSA+SHA256'],
      'Peer signature type: ECDSA',
    ],
  ])('serves %s with a chain that verifies', async (_what, args, shown) => {
    const ran = await sClient(modern, modernPort, ...args);
    expect(ran.stdout).toContain('Verify return code: 0 (ok)');
    expect(ran.stdout).toContain(shown);
  });

  it.each([
    ['DHE', 'DHE-RSA-AES128-GCM-SHA256'],
    ['static RSA', 'AES128-GCM-SHA256'],
  ])('takes %s key exchange only where it is switched on', async (_what, cipher) => {
    const on = await sClient(legacy, legacyPort, '-tls1_2', '-cipher', cipher);
    expect(on.stdout).toContain(`Cipher is ${cipher}`);
    const off = await sClient(modern, modernPort, '-tls1_2', '-cipher', cipher);
    expect(off.stdout).not.toContain(`Cipher is ${cipher}`);
  });

  it('resumes a session on whichever relay the client meets next', async () => {
    const file = `${modern.directory}/session.pem`;
    const first = await sClient(modern, modernPort, '-tls1_3', '-sess_out', file, '-ign_eof');
    expect(first.stdout).toContain('HTTP/1.1 200');
    const outcomes: boolean[] = [];
    for (let attempt = 0; attempt < 6; attempt += 1) {
      const next = await sClient(modern, modernPort, '-tls1_3', '-sess_in', file, '-ign_eof');
      outcomes.push(next.stdout.includes('Reused, TLSv1.3'));
    }
    expect(outcomes).toEqual(Array.from({ length: 6 }, () => true));
    // The origin's sessions are nobody's but the flow's own.
    expect(origin.resumed()).toBe(0);
  });

  it('refuses a renegotiation', async () => {
    const ran = await run(
      'openssl',
      [
        's_client',
        '-proxy',
        `127.0.0.1:${modernPort}`,
        '-connect',
        `localhost:${origin.port}`,
        '-tls1_2',
        '-CAfile',
        modern.caFile,
      ],
      { input: 'R\n', timeoutMs: 5_000 },
    );
    expect(ran.stderr + ran.stdout).toMatch(/no renegotiation|handshake failure|RENEGOTIATING[\s\S]*error/);
  });

  it('begins now where policy follows STIP, and five minutes back by default', async () => {
    const startOf = async (gateway: RunningGateway, port: number): Promise<number> => {
      const { stdout } = await sClient(gateway, port, '-showcerts');
      const pem = stdout.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/)?.[0] ?? '';
      return Date.parse(new X509Certificate(pem).validFrom);
    };
    // Leafs that other tests have caused are younger than this file.
    const latest = Date.now();
    expect(await startOf(legacy, legacyPort)).toBeGreaterThanOrEqual(begun - 1_000);
    const backdated = await startOf(modern, modernPort);
    expect(backdated).toBeGreaterThanOrEqual(begun - 301_000);
    expect(backdated).toBeLessThanOrEqual(latest - 299_000 + 60_000);
  });

  it('mirrors every name of the origin, those over 64 characters too', async () => {
    const ran = await sClient(modern, modernPort, '-showcerts');
    const leaf = ran.stdout.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/)?.[0] ?? '';
    const shown = await run(
      'openssl',
      ['x509', '-noout', '-ext', 'subjectAltName,extendedKeyUsage,keyUsage,basicConstraints'],
      { input: leaf },
    );
    expect(shown.stdout).toContain('DNS:localhost');
    expect(shown.stdout).toContain(`deep.`);
    expect(shown.stdout).toContain('IP Address:127.0.0.1');
    expect(shown.stdout).toContain('TLS Web Server Authentication');
    expect(shown.stdout).not.toContain('Certificate Sign');
  });
});

describe('an opening', () => {
  it('of a post-quantum client in segments of one byte is read whole', async () => {
    const hello = await clientHelloBytes({ servername: 'localhost', ecdhCurve: 'X25519MLKEM768:X25519' });
    expect(hello.length).toBeGreaterThan(1_300);
    const client = connect(modernPort, '127.0.0.1').setNoDelay(true);
    const received: Buffer[] = [];
    client.on('data', (chunk: Buffer) => received.push(chunk));
    client.write(`CONNECT localhost:${origin.port} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
    await until(() => Buffer.concat(received).includes('200'));
    received.length = 0;
    for (const byte of hello) {
      client.write(Buffer.from([byte]));
      if (byte % 8 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await until(() => received.length > 0);
    // A ServerHello: record type 22, handshake type 2.
    expect([received[0]?.[0], received[0]?.[5]]).toEqual([22, 2]);
    client.destroy();
  });

  it('that is not a ClientHello at all is relayed as what it is, or refused with a code, never a crash', async () => {
    const client = connect(modernPort, '127.0.0.1');
    client.on('error', () => {});
    client.write(`CONNECT localhost:${origin.port} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
    await new Promise((resolve) => client.once('data', resolve));
    client.write(Buffer.from([0x16, 0x03, 0x01, 0x00, 0x05, 0x01, 0x00, 0x00, 0xff, 0xff, 0x00]));
    await new Promise((resolve) => client.once('close', resolve));
    await modern.waitForRecords('traffic', (all) => JSON.stringify(all).includes('CLIENT_HELLO_MALFORMED'));
  });
});

async function until(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error('not in time');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
