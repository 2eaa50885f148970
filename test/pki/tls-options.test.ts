import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ConnectionOptions, connect, createServer, type TLSSocket } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { TlsPolicy } from '../../src/core/policy.ts';
import type { LeafKeyType } from '../../src/core/tls.ts';
import { type Authority, loadOrCreateAuthority } from '../../src/pki/authority.ts';
import { issueLeaf } from '../../src/pki/leaf.ts';
import { clientTlsOptions, originTlsOptions } from '../../src/pki/tls-options.ts';
import { labKey, labLeaf, labRoot } from './support/lab.ts';
import { leafKey, leafRequest } from './support/leafs.ts';
import { listening, nodeOrigin, rawOrigin } from './support/origins.ts';
import { hasTool, runToolBeside, spawnTool } from './support/tools.ts';

const base = mkdtempSync(join(tmpdir(), 'daylight-tls-'));
const caFile = join(base, 'certs', 'ca.pem');
const keys = { ec: leafKey('ec'), rsa: leafKey('rsa') };
let authority: Authority;

beforeAll(async () => {
  authority = await loadOrCreateAuthority(join(base, 'certs'));
});
afterAll(() => rmSync(base, { recursive: true, force: true }));

/** A server as a client leg is: our options and one of our leafs. */
async function clientLeg(keyType: LeafKeyType, policy: Partial<TlsPolicy['client']> = {}): Promise<number> {
  const key = keys[keyType];
  const { chainPem } = await issueLeaf(authority, leafRequest({ keyType, publicKey: key.publicKey }), Date.now());
  const leaf = { pem: chainPem, keyPem: key.pem } as Parameters<typeof nodeOrigin>[0]['leaf'];
  return nodeOrigin({ leaf }, clientTlsOptions({ minVersion: 'TLSv1.2', keyExchange: ['ecdhe'], ...policy }));
}

/** What a client of Node negotiates. */
function negotiated(port: number, options: ConnectionOptions): Promise<string> {
  return new Promise((resolve) => {
    const socket: TLSSocket = connect({
      host: '127.0.0.1',
      port,
      servername: 'www.example.com',
      ca: authority.certificates,
      ...options,
    });
    socket.on('secureConnect', () => {
      resolve(`${socket.getProtocol()} ${socket.getCipher().name}`);
      socket.destroy();
    });
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
  });
}

describe('the client leg', () => {
  test('speaks TLS 1.3 and 1.2 with ECDHE and AEAD, and the hybrid group', async () => {
    const port = await clientLeg('ec');
    expect(await negotiated(port, {})).toBe('TLSv1.3 TLS_AES_128_GCM_SHA256');
    expect(await negotiated(port, { ecdhCurve: 'X25519MLKEM768' })).toMatch(/^TLSv1.3/);
    expect(await negotiated(port, { ecdhCurve: 'P-256' })).toMatch(/^TLSv1.3/);
    expect(await negotiated(port, { maxVersion: 'TLSv1.2' })).toBe('TLSv1.2 ECDHE-ECDSA-AES128-GCM-SHA256');
    expect(await negotiated(await clientLeg('rsa'), { maxVersion: 'TLSv1.2' })).toBe(
      'TLSv1.2 ECDHE-RSA-AES128-GCM-SHA256',
    );
  });

  test('refuses what is older or weaker', async () => {
    const port = await clientLeg('rsa');
    const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } as const;
    expect(await negotiated(port, old)).toMatch(/PROTOCOL_VERSION/);
    for (const ciphers of [
      'ECDHE-RSA-AES128-SHA',
      'AES128-GCM-SHA256',
      'DHE-RSA-AES128-GCM-SHA256',
      'NULL-SHA256:@SECLEVEL=0',
    ]) {
      expect(await negotiated(port, { ciphers, maxVersion: 'TLSv1.2' })).toMatch(/HANDSHAKE_FAILURE/);
    }
    expect(await negotiated(await clientLeg('ec', { minVersion: 'TLSv1.3' }), { maxVersion: 'TLSv1.2' })).toMatch(
      /PROTOCOL_VERSION/,
    );
  });

  test.each<[string, TlsPolicy['client']['keyExchange'], string]>([
    ['DHE', ['ecdhe', 'dhe'], 'DHE-RSA-AES128-GCM-SHA256'],
    ['DHE with CBC', ['ecdhe', 'dhe'], 'DHE-RSA-AES256-SHA'],
    ['static RSA', ['ecdhe', 'rsa'], 'AES128-GCM-SHA256'],
    ['static RSA with CBC', ['ecdhe', 'rsa'], 'AES128-SHA'],
    ['static RSA alone', ['rsa'], 'AES256-GCM-SHA384'],
  ])('takes old clients where policy says so: %s', async (_, keyExchange, ciphers) => {
    const port = await clientLeg('rsa', { keyExchange });
    expect(await negotiated(port, { ciphers, maxVersion: 'TLSv1.2' })).toBe(`TLSv1.2 ${ciphers}`);
    if (keyExchange.includes('ecdhe')) {
      expect(await negotiated(port, { maxVersion: 'TLSv1.2' })).toBe('TLSv1.2 ECDHE-RSA-AES128-GCM-SHA256');
    }
    const other = keyExchange.includes('dhe') ? 'AES128-GCM-SHA256' : 'DHE-RSA-AES128-GCM-SHA256';
    expect(await negotiated(port, { ciphers: other, maxVersion: 'TLSv1.2' })).toMatch(/HANDSHAKE_FAILURE/);
  });

  describe.skipIf(!hasTool('openssl', 'version'))('with clients of OpenSSL', () => {
    const client = (port: number, ...args: readonly string[]) =>
      runToolBeside('openssl', [
        's_client',
        '-connect',
        `127.0.0.1:${port}`,
        '-servername',
        'www.example.com',
        '-CAfile',
        caFile,
        '-verify_return_error',
        ...args,
      ]);
    const rsaOnly = ['-sigalgs', 'RSA-PSS+SHA256:RSA+SHA256:RSA-PSS+SHA384:RSA+SHA384'];

    test.each([['-tls1_3'], ['-tls1_2']])(
      'one that offers only RSA signatures gets a chain of RSA alone: %s',
      async (version) => {
        const { output } = await client(await clientLeg('rsa'), version, ...rsaOnly);
        expect(output).toContain('Verify return code: 0 (ok)');
        expect(output).toContain('Peer signature type: RSA-PSS');
        const refused = await client(await clientLeg('ec'), version, ...rsaOnly);
        expect(refused.output).toContain('alert handshake failure');
      },
    );

    test.each([
      ['DHE-RSA-AES128-GCM-SHA256', 'dhe', 'DH'],
      ['AES128-GCM-SHA256', 'rsa', undefined],
    ] as const)('%s works when %s is listed and not when it is not', async (suite, exchange, key) => {
      const on = await client(
        await clientLeg('rsa', { keyExchange: ['ecdhe', exchange] }),
        '-tls1_2',
        '-cipher',
        suite,
      );
      expect(on.output).toContain(`Cipher is ${suite}`);
      if (key !== undefined) expect(on.output).toMatch(/Server Temp Key: DH, (2048|3072) bits/);
      const off = await client(await clientLeg('rsa'), '-tls1_2', '-cipher', suite);
      expect(off.output).toContain('alert handshake failure');
    });

    test('may not renegotiate', async () => {
      const key = keys.rsa;
      const { chainPem } = await issueLeaf(
        authority,
        leafRequest({ keyType: 'rsa', publicKey: key.publicKey }),
        Date.now(),
      );
      const options = clientTlsOptions({ minVersion: 'TLSv1.2', keyExchange: ['ecdhe'] });
      const server = createServer({ ...options, cert: chainPem, key: key.pem }, (socket) =>
        socket.on('error', () => {}),
      );
      const port = await listening(server.on('tlsClientError', () => {}));
      const args = ['s_client', '-connect', `127.0.0.1:${port}`, '-tls1_2', '-CAfile', caFile];
      expect((await runToolBeside('openssl', args, 'R\n')).output).toContain('no renegotiation');
    });
  });
});

describe('the origin leg', () => {
  const root = labRoot();
  const leaf = labLeaf(root, { names: ['www.example.com'], key: labKey('rsa2048'), keyUsage: [0, 2] });
  const script = fileURLToPath(new URL('support/dial-origin.ts', import.meta.url));

  test('trusts nobody until it is told whom', async () => {
    expect(originTlsOptions({ minVersion: 'TLSv1.2', exceptions: [] }).ca).toEqual([]);
    const port = await nodeOrigin({ leaf });
    expect(await spawnTool(process.execPath, [script, String(port)])).toBe('ORIGIN_CERT_UNTRUSTED\n');
  });

  test('offers both first groups with a key share, so that no origin costs a second round trip', async () => {
    const hello = await new Promise<Buffer>((resolve) => {
      void rawOrigin((socket) =>
        socket.once('data', (bytes: Buffer) => {
          resolve(bytes);
          socket.destroy();
        }),
      ).then((port) =>
        connect({ port, host: '127.0.0.1', ...originTlsOptions({ minVersion: 'TLSv1.2', exceptions: [] }) }).on(
          'error',
          () => {},
        ),
      );
    });
    const entry = (group: number, length: number) =>
      Buffer.from([group >> 8, group & 0xff, length >> 8, length & 0xff]);
    // key_share entries: group and length of the key (1 216 octets of ML-KEM-768 with X25519, 32 of X25519).
    expect(hello.includes(entry(0x11ec, 1_216))).toBe(true);
    expect(hello.includes(entry(0x001d, 32))).toBe(true);
  });

  test.each<[string, () => NodeJS.ProcessEnv]>([
    ['nothing', () => ({})],
    ['NODE_TLS_REJECT_UNAUTHORIZED', () => ({ NODE_TLS_REJECT_UNAUTHORIZED: '0' })],
    ['NODE_EXTRA_CA_CERTS', () => ({ NODE_EXTRA_CA_CERTS: file('root.pem', root.pem) })],
    ['SSL_CERT_FILE', () => ({ SSL_CERT_FILE: file('root.pem', root.pem), NODE_OPTIONS: '--use-openssl-ca' })],
    ['NODE_OPTIONS', () => ({ NODE_OPTIONS: '--tls-min-v1.0 --tls-cipher-list=DEFAULT:@SECLEVEL=0' })],
    ['OPENSSL_CONF', () => ({ OPENSSL_CONF: file('openssl.cnf', weakening), NODE_OPTIONS: '--openssl-shared-config' })],
  ])('is as strict whatever the environment says: %s', async (_, environment) => {
    const env = { PATH: process.env.PATH, ...environment() };
    const run = (port: number, ...roots: readonly string[]) =>
      spawnTool(process.execPath, [script, String(port), ...roots], env);
    const rootFile = file('trusted.pem', root.pem);
    const lastLine = async (output: Promise<string>) =>
      (await output)
        .trim()
        .split('\n')
        .find((line) => /^[A-Z_]+$|^connected$/.test(line));
    expect(await lastLine(run(await nodeOrigin({ leaf })))).toBe('ORIGIN_CERT_UNTRUSTED');
    const old = await nodeOrigin(
      { leaf },
      { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' },
    );
    expect(await lastLine(run(old, rootFile))).toBe('ORIGIN_TLS_TOO_WEAK');
    const weak = await nodeOrigin(
      { leaf: labLeaf(root, { names: ['www.example.com'], hash: 'sha1' }) },
      { ciphers: 'DEFAULT@SECLEVEL=0' },
    );
    expect(await lastLine(run(weak, rootFile))).toBe('ORIGIN_CERT_WEAK');
    expect(await lastLine(run(await nodeOrigin({ leaf }), rootFile))).toBe('connected');
  });

  function file(name: string, text: string): string {
    const path = join(base, name);
    writeFileSync(path, text);
    return path;
  }
});

const weakening = `
nodejs_conf = weak
openssl_conf = weak
[weak]
ssl_conf = ssl
[ssl]
system_default = defaults
[defaults]
MinProtocol = TLSv1
CipherString = DEFAULT:@SECLEVEL=0
Options = UnsafeLegacyRenegotiation
VerifyMode = none
`;
