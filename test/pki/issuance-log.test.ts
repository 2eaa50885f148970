import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { IssuedLeaf } from '../../src/core/ipc.ts';
import { certificateFactsOf } from '../../src/pki/certificate-facts.ts';
import { auditIssuanceLog, IssuanceLog } from '../../src/pki/issuance-log.ts';
import { labDirectory, labLeaf, labRoot } from './support/lab.ts';
import { leafRequest } from './support/leafs.ts';

const root = labRoot();
const certificate = labLeaf(root, { names: ['www.example.com', Buffer.from([10, 0, 0, 1])] });
const leaf: IssuedLeaf = { chainPem: certificate.pem, facts: certificateFactsOf(certificate.pem) };
const request = leafRequest({ publicKey: Buffer.alloc(0) });
const now = Date.UTC(2026, 10, 22);

async function logged(count: number, directory = labDirectory(), options = {}): Promise<string> {
  const log = new IssuanceLog(directory, options);
  await Promise.all(Array.from({ length: count }, (_, index) => log.append(leaf, request, now + index)));
  return directory;
}

describe('the issuance log', () => {
  test('tells what was issued for which origin', async () => {
    const directory = await logged(1);
    const path = join(directory, 'issued.ndjson');
    expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual({
      time: '2026-11-22T00:00:00.000Z',
      serialNumber: certificate.x509.serialNumber,
      fingerprint256: certificate.x509.fingerprint256.replaceAll(':', '').toLowerCase(),
      issuer: root.x509.subject,
      name: 'www.example.com',
      names: ['www.example.com', '10.0.0.1'],
      notBefore: certificate.x509.validFromDate.toISOString(),
      notAfter: certificate.x509.validToDate.toISOString(),
      originFingerprint: 'ab'.repeat(32),
      untrusted: false,
      previous: '0'.repeat(64),
    });
    expect((statSync(path).mode & 0o777).toString(8)).toBe('600');
  });

  test('is one chain over restarts and rotated files', async () => {
    const directory = await logged(5);
    await logged(5, directory);
    for (let part = 0; part < 3; part++) {
      const log = new IssuanceLog(directory, { bytes: 3_000 });
      for (let line = 0; line < 5; line++) await log.append(leaf, request, now + part * 1_000 + line);
    }
    expect(readdirSync(directory).length).toBeGreaterThan(2);
    expect(await auditIssuanceLog(directory)).toEqual({ lines: 25, brokenAt: undefined });
  });

  test.each<[string, (lines: string[]) => string[], number]>([
    ['a line was changed', (lines) => lines.with(2, (lines[2] ?? '').replace('www', 'xxx')), 4],
    ['a line is missing', (lines) => lines.toSpliced(2, 1), 3],
    ['lines are exchanged', (lines) => [...lines.slice(0, 2), lines[3] ?? '', lines[2] ?? '', ...lines.slice(4)], 3],
    ['a line was put in', (lines) => lines.toSpliced(3, 0, lines[0] ?? ''), 4],
    ['a line is no JSON', (lines) => lines.with(3, 'garbage'), 4],
  ])('shows that %s', async (_, change, brokenAt) => {
    const directory = await logged(6);
    const path = join(directory, 'issued.ndjson');
    const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
    writeFileSync(path, `${change(lines).join('\n')}\n`);
    expect(await auditIssuanceLog(directory)).toMatchObject({ brokenAt });
  });

  test('goes on after a line that a crash cut short, which stays visible', async () => {
    const directory = await logged(3);
    const path = join(directory, 'issued.ndjson');
    truncateSync(path, statSync(path).size - 20);
    await logged(2, directory);
    const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
    expect(lines).toHaveLength(5);
    expect(await auditIssuanceLog(directory)).toMatchObject({ brokenAt: 3 });
  });

  test('of an empty directory is whole', async () => {
    expect(await auditIssuanceLog(labDirectory())).toEqual({ lines: 0, brokenAt: undefined });
  });

  test('refuses the leaf when it cannot be written, unless policy says to go on', async () => {
    const directory = labDirectory();
    mkdirSync(join(directory, 'issued.ndjson'));
    const strict = new IssuanceLog(directory);
    await expect(strict.append(leaf, request, now)).rejects.toThrow('GATEWAY_LEAF_FAILED');
    const lenient = new IssuanceLog(directory, { onFailure: 'continue' });
    await lenient.append(leaf, request, now);
    expect([strict.lost, lenient.lost]).toEqual([1, 1]);
    rmSync(join(directory, 'issued.ndjson'), { recursive: true });
    chmodSync(directory, 0o700);
    await strict.append(leaf, request, now);
    expect(await auditIssuanceLog(directory)).toEqual({ lines: 1, brokenAt: undefined });
  });
});
