import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { javaTrustStore } from '../../src/control/java-trust-store.ts';
import { certificatesInPem } from '../../src/pki/pem.ts';
import { freePort, type RunningGateway, startGateway } from '../support/gateway.ts';
import { startOrigin, type TestOrigin } from '../support/https-origin.ts';
import { originShapes, shapeExceptions } from '../support/origin-shapes.ts';
import { hasProgram, run } from '../support/run.ts';
import { createTestAuthority } from '../support/test-authority.ts';

const program = fileURLToPath(new URL('JsseClient.java', import.meta.url));
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
      for (const [host, wishes] of originShapes) {
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
          originExceptions: shapeExceptions,
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
      expect(heard).toEqual(originShapes.map(([host]) => `${host} ${version} HTTP/1.1 200 OK`));
    });

    it('takes none without the CA, and no origin is asked for anything', async () => {
      const before = origins.map(({ requests }) => requests.length);
      const heard = await visit(join(directory, 'origins.jks'), 'TLSv1.3');
      expect(heard).toHaveLength(originShapes.length);
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
