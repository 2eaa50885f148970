import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { javaTrustStore } from '../../src/control/java-trust-store.ts';
import { certificatesInPem } from '../../src/pki/pem.ts';
import { hasProgram, run } from '../support/run.ts';
import { createTestAuthority } from '../support/test-authority.ts';

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'daylight-jks-'));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

test('keytool reads the trust store, with its integrity check', async () => {
  if (!hasProgram('keytool')) return;
  const pems = [(await createTestAuthority('One')).rootPem, (await createTestAuthority('Two')).rootPem];
  const store = javaTrustStore(
    pems.flatMap(certificatesInPem).filter((der) => der !== undefined),
    Date.now(),
  );
  const file = join(directory, 'store.jks');
  const list = () =>
    run('keytool', ['-J-Duser.language=en', '-list', '-v', '-keystore', file, '-storepass', 'changeit']);
  writeFileSync(file, store);
  const good = await list();
  expect(good.stdout).toContain('contains 2 entries');
  expect(good.stdout).toMatch(/Owner: CN=One[\s\S]*Owner: CN=Two/);
  store[40] = (store[40] ?? 0) ^ 1;
  writeFileSync(file, store);
  expect((await list()).code).not.toBe(0);
});
