import { copyFileSync, existsSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { loadAuthority, loadOrCreateAuthority } from '../../src/pki/authority.ts';
import {
  activateNext,
  cancelRotation,
  finishRotation,
  replaceAuthority,
  stageNext,
} from '../../src/pki/authority-rotation.ts';
import { certifyRoot, type Issuer, uniqueCommonName } from '../../src/pki/issuer.ts';
import { issueLeaf } from '../../src/pki/leaf.ts';
import { labDirectory, labKey } from './support/lab.ts';
import { leafKey, leafRequest } from './support/leafs.ts';
import { hasTool, outputOf } from './support/tools.ts';

const now = Date.now();
const day = 86_400_000;
const key = leafKey('ec');

function newIssuer(): Promise<Issuer> {
  return certifyRoot(uniqueCommonName(), labKey(), now);
}

async function place(): Promise<string> {
  const directory = join(labDirectory(), 'certs');
  await loadOrCreateAuthority(directory, { keyType: 'ec' });
  return directory;
}

/** Subjects in ca.pem, in order. */
function trusted(directory: string): readonly string[] {
  return readFileSync(join(directory, 'ca.pem'), 'utf8').match(/-----BEGIN[^-]*-----[^-]*-----END[^-]*-----\n/g) ?? [];
}

async function verifiesBy(directory: string, caText: string): Promise<boolean> {
  if (!hasTool('openssl', 'version')) return true;
  const { chainPem } = await issueLeaf(
    await loadAuthority(directory),
    leafRequest({ publicKey: key.publicKey }),
    Date.now(),
  );
  const ca = join(directory, '..', 'client-ca.pem');
  const leaf = join(directory, '..', 'leaf.pem');
  writeFileSync(ca, caText);
  writeFileSync(leaf, chainPem);
  try {
    return outputOf('openssl', ['verify', '-x509_strict', '-CAfile', ca, leaf]).includes('OK');
  } catch {
    return false;
  }
}

describe('a rotation', () => {
  test('never leaves a client that took ca.pem in time without trust', async () => {
    const directory = await place();
    const before = readFileSync(join(directory, 'ca.pem'), 'utf8');
    const next = await newIssuer();

    await stageNext(directory, next, undefined, now);
    const during = readFileSync(join(directory, 'ca.pem'), 'utf8');
    expect(trusted(directory)).toEqual([before, next.pem]);
    expect(await verifiesBy(directory, before)).toBe(true);

    await activateNext(directory, now);
    expect(trusted(directory)).toEqual([next.pem, before]);
    expect(await verifiesBy(directory, during)).toBe(true);
    expect(await verifiesBy(directory, before)).toBe(!hasTool('openssl', 'version'));
    expect((await loadAuthority(directory)).earlier).toBe(1);

    await finishRotation(directory, now);
    expect(trusted(directory)).toEqual([next.pem]);
    expect(await verifiesBy(directory, during)).toBe(true);
    expect(readdirSync(directory).sort()).toEqual(['ca.key', 'ca.pem', 'untrusted.key', 'untrusted.pem']);
  });

  test('may be given up', async () => {
    const directory = await place();
    const before = readFileSync(join(directory, 'ca.pem'), 'utf8');
    await stageNext(directory, await newIssuer(), undefined, now);
    await cancelRotation(directory, now);
    expect(readFileSync(join(directory, 'ca.pem'), 'utf8')).toBe(before);
    expect(existsSync(join(directory, 'next.key'))).toBe(false);
    await expect(activateNext(directory, now)).rejects.toThrow('no CA waits');
  });

  test('activates itself at its time, when a gateway loads the authority', async () => {
    const directory = await place();
    const next = await newIssuer();
    await stageNext(directory, next, now + day, now);
    const early = await loadAuthority(directory, now + day - 1);
    expect(early.active.fingerprint256).not.toBe(next.fingerprint256);
    expect(early.activateAt).toBe(now + day);
    const due = await loadAuthority(directory, now + day);
    expect(due.active.fingerprint256).toBe(next.fingerprint256);
    expect(due.changes[0]).toContain(next.subject);
    expect((await loadAuthority(directory, now + day)).changes).toEqual([]);
  });

  test('that two processes activate at once is done once, and both load', async () => {
    const directory = await place();
    const next = await newIssuer();
    await stageNext(directory, next, now, now);
    const loaded = await Promise.all([loadAuthority(directory, now), loadAuthority(directory, now)]);
    expect(loaded.map(({ active }) => active.fingerprint256)).toEqual([next.fingerprint256, next.fingerprint256]);
  });

  test('says in plain text what it did', async () => {
    const directory = await place();
    const next = await newIssuer();
    const lines = [
      ...(await stageNext(directory, next, undefined, now)),
      ...(await activateNext(directory, now)),
      ...(await finishRotation(directory, now)),
    ];
    expect(lines.join('\n')).toMatch(
      /also holds CN=.*\n.*distribute.*\nleafs now come from .*\nthe key of .* is deleted.*\n.*: 1 removed/,
    );
    expect(lines.join('\n')).not.toContain('PRIVATE');
  });

  test('is one at a time, and steps out of turn are refused', async () => {
    const directory = await place();
    await expect(activateNext(directory, now)).rejects.toThrow('no CA waits');
    await stageNext(directory, await newIssuer(), undefined, now);
    await expect(stageNext(directory, await newIssuer(), undefined, now)).rejects.toThrow('already under way');
    await expect(finishRotation(directory, now)).rejects.toThrow('activated or cancelled first');
  });

  test('survives a crash after any step', async () => {
    const directory = await place();
    const first = await loadAuthority(directory);
    const next = await newIssuer();
    await stageNext(directory, next, undefined, now);
    // Cut short after the key has moved: ca.pem still has the old order, next.pem is left over.
    const staged = readFileSync(join(directory, 'ca.pem'));
    copyFileSync(join(directory, 'next.pem'), join(directory, 'kept'));
    await activateNext(directory, now);
    writeFileSync(join(directory, 'ca.pem'), staged);
    renameSync(join(directory, 'kept'), join(directory, 'next.pem'));
    const after = await loadOrCreateAuthority(directory);
    expect(after.active.fingerprint256).toBe(next.fingerprint256);
    expect(after.next).toBeUndefined();
    expect(after.certificates.startsWith(next.pem)).toBe(true);
    expect(after.certificates).toContain(first.active.pem);
    await finishRotation(directory, now);
    expect(trusted(directory)).toEqual([next.pem]);
  });

  test('waits for a lock and breaks one that a dead process left', async () => {
    const directory = await place();
    const changes = [
      stageNext(directory, await newIssuer(), undefined, now),
      stageNext(directory, await newIssuer(), undefined, now),
    ];
    const outcomes = await Promise.allSettled(changes);
    expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(existsSync(join(directory, '.lock'))).toBe(false);
  });
});

test('a replacement leaves the new authority alone', async () => {
  const directory = await place();
  const issuer = await newIssuer();
  await replaceAuthority(directory, issuer, now);
  const { active, earlier, next } = await loadAuthority(directory);
  expect([active.fingerprint256, earlier, next]).toEqual([issuer.fingerprint256, 0, undefined]);
  expect(trusted(directory)).toEqual([issuer.pem]);
});
