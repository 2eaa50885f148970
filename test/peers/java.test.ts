import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { javaTrustStore } from '../../src/control/java-trust-store.ts';
import { certificatesInPem } from '../../src/pki/pem.ts';
import { freePort, type RunningGateway, startGateway } from '../support/gateway.ts';
import { startOrigin, type TestOrigin } from '../support/https-origin.ts';
import { hasProgram, run } from '../support/run.ts';
import { createTestAuthority, type OriginWishes } from '../support/test-authority.ts';

const program = fileURLToPath(new URL('JsseClient.java', import.meta.url));
const hour = 3_600_000;

/** What origins show, by the name that is asked for. What no origin may show is told by other tests. */
const shapes: readonly (readonly [host: string, wishes: OriginWishes])[] = [
  ['www.example.com', { names: ['www.example.com'] }],
  ['rsa.example.com', { names: ['rsa.example.com'], keyType: 'rsa' }],
  ['a.wild.example', { names: ['*.wild.example'] }],
  ['127.0.0.1', { names: ['127.0.0.1'] }],
  ['h999.example.com', { names: Array.from({ length: 1_000 }, (_, index) => `h${index}.example.com`) }],
  ['xn--bcher-kva.example', { names: ['xn--bcher-kva.example'] }],
  ['years.example.com', { names: ['years.example.com'], validForMs: 20 * 365 * 24 * hour }],
  ['ending.example.com', { names: ['ending.example.com'], validForMs: 1.5 * hour }],
];

describe.runIf(hasProgram('java') && hasProgram('javac'))(
  'the TLS of Java, with checks of its own',
  { timeout: 120_000 },
  () => {
    const origins: TestOrigin[] = [];
    const targets: string[] = [];
    let gateway: RunningGateway;
    let port: number;
    let directory: string;

    beforeAll(async () => {
      directory = mkdtempSync(join(tmpdir(), 'daylight-java-'));
      const authority = await createTestAuthority();
      for (const [host, wishes] of shapes) {
        const origin = await startOrigin(await authority.issue(wishes));
        origins.push(origin);
        targets.push(`${host}:${origin.port}`);
      }
      port = await freePort();
      gateway = await startGateway({
        files: { 'roots.pem': authority.rootPem },
        config: {
          listeners: [{ mode: 'explicit', listen: `127.0.0.1:${port}` }],
          originTrust: { system: false, files: ['$DIRECTORY/roots.pem'] },
        },
      });
      writeFileSync(join(directory, 'origins.jks'), storeOf(authority.rootPem));
    });
    afterAll(async () => {
      await gateway?.[Symbol.asyncDispose]();
      for (const origin of origins) await origin[Symbol.asyncDispose]();
      if (directory !== undefined) rmSync(directory, { recursive: true, force: true });
    });

    /** A PKCS#12 store as the manual says that an operator makes it. */
    async function pkcs12Store(): Promise<string> {
      const file = join(directory, 'trust.p12');
      const password = join(directory, 'password');
      writeFileSync(password, 'changeit\n', { mode: 0o600 });
      const exported = ['export', '--format', 'p12', '--password-file', password, '--out', file];
      const ran = await run(process.execPath, [
        '--no-warnings',
        'src/main.ts',
        'ca',
        ...exported,
        '--config',
        gateway.configFile,
      ]);
      expect(ran).toMatchObject({ code: 0 });
      return file;
    }

    async function visit(store: string, version: string): Promise<readonly string[]> {
      const trust = [`-Djavax.net.ssl.trustStore=${store}`, '-Djavax.net.ssl.trustStorePassword=changeit'];
      const arguments_ = [program, String(port), version, ...targets];
      const ran = await run('java', ['-XX:TieredStopAtLevel=1', ...trust, ...arguments_], { timeoutMs: 60_000 });
      expect(ran.stderr).toBe('');
      return ran.stdout.trimEnd().split('\n');
    }

    it.each(['TLSv1.3', 'TLSv1.2'])('takes the leaf of every shape of origin, in %s', async (version) => {
      const heard = await visit(await pkcs12Store(), version);
      expect(heard).toEqual(shapes.map(([host]) => `${host} ${version} HTTP/1.1 200 OK`));
    });

    it('takes none without the CA, and no origin is asked for anything', async () => {
      const before = origins.map(({ requests }) => requests.length);
      const heard = await visit(join(directory, 'origins.jks'), 'TLSv1.3');
      expect(heard).toHaveLength(shapes.length);
      for (const line of heard) expect(line).toMatch(/ failed: .*unable to find valid certification path/);
      expect(origins.map(({ requests }) => requests.length)).toEqual(before);
    });
  },
);

function storeOf(pem: string): Buffer {
  return javaTrustStore(
    certificatesInPem(pem).filter((der) => der !== undefined),
    Date.now(),
  );
}
