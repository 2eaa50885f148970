import { copyFileSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { auditIssuance } from '../../src/control/ca-audit.ts';
import { runCa } from '../../src/control/ca-command.ts';
import { createSigner, type Signer } from '../../src/control/signer.ts';
import { type Authority, loadOrCreateAuthority } from '../../src/pki/authority.ts';
import { leafKey, leafRequest } from '../pki/support/leafs.ts';

const { publicKey } = leafKey('ec');
let directory: string;
let authority: Authority;
let signer: Signer;
const log = (): string => join(directory, 'issued.ndjson');
const seal = (): string => join(directory, 'issued.seal');

async function issue(count: number): Promise<void> {
  for (let line = 0; line < count; line++) await signer.sign(leafRequest({ publicKey }));
}

beforeEach(async () => {
  directory = join(mkdtempSync(join(tmpdir(), 'daylight-audit-')), 'certs');
  authority = await loadOrCreateAuthority(directory, { keyType: 'ec' });
  signer = createSigner(authority);
  await issue(5);
  await signer.close();
});
afterEach(() => rmSync(join(directory, '..'), { recursive: true, force: true }));

function cutLines(count: number): void {
  const lines = readFileSync(log(), 'utf8').trimEnd().split('\n');
  writeFileSync(
    log(),
    lines
      .slice(0, -count)
      .map((line) => `${line}\n`)
      .join(''),
    { mode: 0o600 },
  );
}

describe('an audit of the issuance log', () => {
  it('finds nothing wrong with a whole one, sealed when the gateway stopped', async () => {
    const sealedAt = expect.stringMatching(/^2/);
    expect(await auditIssuance(directory, undefined)).toEqual({ lines: 5, sealedAt, unsealed: 0, fault: undefined });
  });

  it('tells how many lines a gateway that was killed left behind its seal', async () => {
    signer = createSigner(authority);
    await issue(2);
    expect(await auditIssuance(directory, undefined)).toMatchObject({ lines: 7, unsealed: 2, fault: undefined });
  });

  it('shows that lines were cut off the end, which the chain alone does not', async () => {
    cutLines(2);
    expect(await auditIssuance(directory, undefined)).toMatchObject({
      lines: 3,
      fault: expect.stringContaining('cut off'),
    });
  });

  it('shows by a seal that was kept elsewhere that log and seal were set back together', async () => {
    const kept = join(directory, '..', 'kept.seal');
    const before = [readFileSync(log()), readFileSync(seal())] as const;
    signer = createSigner(authority);
    await issue(2);
    await signer.close();
    copyFileSync(seal(), kept);
    writeFileSync(log(), before[0]);
    writeFileSync(seal(), before[1]);
    expect(await auditIssuance(directory, undefined)).toMatchObject({ fault: undefined });
    expect(await auditIssuance(directory, kept)).toMatchObject({ fault: expect.stringContaining('cut off') });
  });

  it.each<[string, (text: string) => string]>([
    ['of another head', (text) => text.replace(/"head":"[^"]{4}/, '"head":"0000')],
    ['of another time', (text) => text.replace('"time":"2', '"time":"3')],
    ['of another authority', (text) => text.replace(/"issuer":"[^"]{4}/, '"issuer":"0000')],
    ['that is none', () => 'sealed, believe me'],
  ])('believes no seal %s', async (_what, change) => {
    writeFileSync(seal(), change(readFileSync(seal(), 'utf8')), { mode: 0o600 });
    expect(await auditIssuance(directory, undefined)).toMatchObject({
      sealedAt: undefined,
      fault: expect.stringMatching(/seal/),
    });
  });

  it('misses a seal that was removed', async () => {
    rmSync(seal());
    expect(await auditIssuance(directory, undefined)).toMatchObject({ fault: expect.stringContaining('no seal') });
  });

  it.each<[string, () => void, string]>([
    ['lines were cut off', () => cutLines(2), 'cut off'],
    ['the seal was removed', () => rmSync(seal()), 'no seal'],
    ['both', () => [cutLines(1), rmSync(seal())], 'no seal'],
    ['the seal is none', () => writeFileSync(seal(), 'sealed, believe me', { mode: 0o600 }), 'cannot be read'],
  ])('is not led astray by a gateway that starts and goes on after %s', async (_what, harm, fault) => {
    harm();
    const problems: string[] = [];
    signer = createSigner(authority, (problem) => problems.push(problem));
    await issue(3);
    await signer.close();
    expect(problems).toEqual([expect.stringContaining('does not go on from its seal')]);
    expect(await auditIssuance(directory, undefined)).toMatchObject({ fault: expect.stringContaining(fault) });
  });

  it('is content again once log and seal were moved away', async () => {
    cutLines(2);
    for (const file of [log(), seal()]) renameSync(file, `${file}.kept`);
    const problems: string[] = [];
    signer = createSigner(authority, (problem) => problems.push(problem));
    await issue(2);
    await signer.close();
    expect(problems).toEqual([]);
    expect(await auditIssuance(directory, undefined)).toMatchObject({ lines: 2, unsealed: 0, fault: undefined });
  });

  it('is sealed anew by another CA, and over the lines that a gateway that was killed left behind its seal', async () => {
    signer = createSigner(authority);
    await issue(2);
    // As a kill leaves it: without a last seal.
    const another = await loadOrCreateAuthority(join(directory, '..', 'another'), { keyType: 'ec' });
    const problems: string[] = [];
    const next = createSigner({ ...another, directory }, (problem) => problems.push(problem));
    await next.close();
    expect(problems).toEqual([]);
    expect(JSON.parse(readFileSync(seal(), 'utf8')).issuer).toBe(another.active.fingerprint256);
  });

  it('has an exit code for CI', async () => {
    const run = async (): Promise<[number, string]> => {
      const stdout = new PassThrough();
      const code = await runCa(['audit', '--json', '--directory', directory], { stdout, stderr: new PassThrough() });
      return [code, String(stdout.read())];
    };
    expect(await run()).toEqual([0, expect.stringContaining('"lines":5')]);
    cutLines(1);
    expect(await run()).toEqual([1, expect.stringContaining('"fault":"the sealed line')]);
  });
});
