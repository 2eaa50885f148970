import { generateKeyPairSync, hash } from 'node:crypto';
import { copyFileSync, mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { auditIssuance } from '../../src/control/ca-audit.ts';
import { runCa } from '../../src/control/ca-command.ts';
import { createSigner, type Signer } from '../../src/control/signer.ts';
import { type Authority, loadOrCreateAuthority } from '../../src/pki/authority.ts';
import { activateNext, finishRotation, replaceAuthority, stageNext } from '../../src/pki/authority-rotation.ts';
import { writeSeal } from '../../src/pki/issuance-seal.ts';
import { certifyRoot, type Issuer } from '../../src/pki/issuer.ts';
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

const anyKey = () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;

/** Cuts lines off, and has a CA of the intruder's own seal what is left. */
async function forge(named: 'own' | 'another'): Promise<void> {
  cutLines(2);
  const another = await loadOrCreateAuthority(join(directory, '..', 'another'), { keyType: 'ec' });
  const { fingerprint256 } = named === 'own' ? authority.active : another.active;
  const last = readFileSync(log(), 'utf8').trimEnd().split('\n').at(-1) ?? '';
  await writeSeal(directory, hash('sha256', last, 'hex'), { ...another.active, fingerprint256 }, Date.now());
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

  it.each<[string, () => unknown, string]>([
    ['lines were cut off', () => cutLines(2), 'cut off'],
    ['the seal was removed', () => rmSync(seal()), 'no seal'],
    ['both', () => [cutLines(1), rmSync(seal())], 'no seal'],
    ['the seal is none', () => writeFileSync(seal(), 'sealed, believe me', { mode: 0o600 }), 'cannot be read'],
    ['lines were cut off and their end sealed by a CA that nobody knows', () => forge('another'), 'no CA of this'],
    ['lines were cut off and their end sealed by that CA under the name of ours', () => forge('own'), 'is wrong'],
  ])('is not led astray by a gateway that starts and goes on after %s', async (_what, harm, fault) => {
    await harm();
    const problems: string[] = [];
    signer = createSigner(authority, (problem) => problems.push(problem));
    await issue(3);
    await signer.close();
    expect(problems).toEqual([expect.stringMatching(/does not go on from its seal|seal that is not to be believed/)]);
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

  it('covers the lines that a gateway that was killed left behind its seal, once the next one has started', async () => {
    signer = createSigner(authority);
    await issue(2);
    // As a kill leaves it: without a last seal.
    const problems: string[] = [];
    const next = createSigner(authority, (problem) => problems.push(problem));
    await next.close();
    expect(problems).toEqual([]);
    expect(await auditIssuance(directory, undefined)).toMatchObject({ lines: 7, unsealed: 0, fault: undefined });
  });

  it.each<[string, (next: Issuer) => Promise<unknown>]>([
    ['replaced at once', (next) => replaceAuthority(directory, next, Date.now())],
    [
      'rotated to its end',
      async (next) => {
        await stageNext(directory, next, undefined, Date.now());
        await activateNext(directory, Date.now());
        await finishRotation(directory, Date.now());
      },
    ],
  ])('is content when the CA was %s while no gateway ran, and so is the next gateway', async (_what, change) => {
    const before = JSON.parse(readFileSync(seal(), 'utf8'));
    const next = await certifyRoot('Another CA', anyKey(), Date.now());
    await change(next);
    const after = JSON.parse(readFileSync(seal(), 'utf8'));
    expect(after).toMatchObject({ time: before.time, head: before.head, issuer: next.fingerprint256 });
    expect(await auditIssuance(directory, undefined)).toMatchObject({ lines: 5, unsealed: 0, fault: undefined });
    authority = await loadOrCreateAuthority(directory);
    const problems: string[] = [];
    signer = createSigner(authority, (problem) => problems.push(problem));
    await issue(1);
    await signer.close();
    expect(problems).toEqual([]);
    expect(await auditIssuance(directory, undefined)).toMatchObject({ lines: 6, unsealed: 0, fault: undefined });
  });

  it('goes on to fail when the CA is replaced on a log with a forged seal, and the operator is told', async () => {
    await forge('another');
    const next = await certifyRoot('Another CA', anyKey(), Date.now());
    const lines = await replaceAuthority(directory, next, Date.now());
    expect(lines.join()).toContain('the issuance log is not sealed anew: the seal is of no CA of this authority');
    expect(await auditIssuance(directory, undefined)).toMatchObject({
      fault: expect.stringContaining('no CA of this'),
    });
  });

  it('is not told of lines as sealed that could not be brought to the device', async () => {
    const problems: string[] = [];
    signer = createSigner(authority, (problem) => problems.push(problem));
    await issue(1);
    const before = readFileSync(seal(), 'utf8');
    renameSync(log(), `${log()}.kept`);
    symlinkSync(log(), log());
    await signer.close();
    expect(problems).toEqual([expect.stringContaining('the issuance log cannot be sealed: ELOOP')]);
    expect(readFileSync(seal(), 'utf8')).toBe(before);
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
