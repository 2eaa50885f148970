import { type KeyObject, X509Certificate } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';

import { FlowFailure } from '../core/failures.ts';
import type { LeafKeyType } from '../core/tls.ts';
import { certificatePems, certifyRoot, type Issuer, issuerOf, makeKey } from './issuer.ts';
import { keyInText, keyText, lacksProtection } from './key-protection.ts';
import { createFile, linkOnce, readOwnFile, removeFile, replaceFile } from './private-files.ts';

/** Names of an authority's files in its directory. */
export const authorityFiles = {
  /** What clients trust: the active CA, the chain above it, then the CAs of a rotation. */
  certificates: 'ca.pem',
  key: 'ca.key',
  /** A CA that waits to be activated. */
  nextCertificates: 'next.pem',
  nextKey: 'next.key',
  /** Time (ISO 8601) at which the next CA becomes active by itself. */
  nextActivation: 'next.activate-at',
  untrustedCertificates: 'untrusted.pem',
  untrustedKey: 'untrusted.key',
  lock: '.lock',
} as const;

/** What the files of an authority say. */
export interface AuthorityState {
  readonly active: Issuer;
  /** Made or imported, distributed to clients, not yet issuing. */
  readonly next: Issuer | undefined;
  /** Milliseconds since the epoch. */
  readonly activateAt: number | undefined;
  /** Certificates (PEM) that clients still trust beside those: earlier CAs until the rotation is finished. */
  readonly others: readonly string[];
}

/** Reads what is in the directory; undefined when there is no authority at all. Rejects with FlowFailure GATEWAY_AUTHORITY_KEY. */
export async function readAuthority(directory: string, now: number): Promise<AuthorityState | undefined> {
  const path = join(directory, authorityFiles.certificates);
  const keyPath = join(directory, authorityFiles.key);
  const key = await readKey(keyPath);
  const pems = await readCertificates(path);
  if (key === undefined && pems === undefined) return undefined;
  if (key === undefined) throw refusal(`${path} is there, but its key ${keyPath} is missing`);
  if (pems === undefined) throw refusal(`${keyPath} is there, but its certificate ${path} is missing`);
  // The key decides which certificate is active: an activation that was cut short leaves the order of the file behind.
  const fitting = pems.findIndex((pem) => new X509Certificate(pem).checkPrivateKey(key));
  if (fitting < 0) throw refusal(`${keyPath} fits no certificate of ${path}`);
  const active = issuerOf([...pems.slice(fitting), ...pems.slice(0, fitting)], key, now);
  const next = await readNext(directory, now);
  const placed = new Set(
    [active, next].flatMap((issuer) => (issuer === undefined ? [] : [issuer.pem, ...issuer.chain])),
  );
  return {
    active,
    next,
    activateAt: await readActivation(directory),
    others: pems.filter((pem) => !placed.has(pem)),
  };
}

/** Certificates (PEM) of an authority, without its key. Rejects with FlowFailure GATEWAY_AUTHORITY_KEY. */
export async function readAuthorityCertificates(directory: string): Promise<readonly string[]> {
  const path = join(directory, authorityFiles.certificates);
  const pems = await readCertificates(path);
  if (pems === undefined) throw refusal(`${directory} holds no authority`);
  return pems;
}

/** The text of ca.pem for a state. */
export function certificatesText({ active, next, others }: AuthorityState): string {
  const nextOnes = next === undefined ? [] : [next.pem, ...next.chain];
  return [...new Set([active.pem, ...active.chain, ...nextOnes, ...others])].join('');
}

/** Reads the untrusted authority. */
export async function readUntrusted(directory: string, now: number): Promise<Issuer> {
  const keyPath = join(directory, authorityFiles.untrustedKey);
  const key = await readKey(keyPath);
  const pems = await readCertificates(join(directory, authorityFiles.untrustedCertificates));
  if (key === undefined || pems === undefined) throw refusal(`${keyPath} or its certificate is missing`);
  return issuerOf(pems, key, now);
}

/** What to make where no CA is. */
export interface NewIssuer {
  readonly base: 'ca' | 'untrusted';
  readonly commonName: string;
  readonly keyType: LeafKeyType;
}

/**
 * Makes the two files of an issuer if they are not there. Any number of processes may start at once: the first to publish
 * a pending key decides, and whoever comes to it, also after a crash half way, brings the same key to its end. True when
 * something was made.
 */
export async function ensureIssuer(
  directory: string,
  { base, commonName, keyType }: NewIssuer,
  now: number,
): Promise<boolean> {
  const keyPath = join(directory, `${base}.key`);
  const path = join(directory, `${base}.pem`);
  const pendingPath = join(directory, `${base}.creating.key`);
  // Each round ends in a further state; four are enough, more are for other processes' doings in between.
  for (let round = 0; round < 10; round++) {
    const key = await readKey(keyPath);
    const pems = await readCertificates(path);
    if (key !== undefined && pems !== undefined) {
      await removeFile(pendingPath);
      return round > 0;
    }
    const pending = await readKey(pendingPath);
    if (pending === undefined) {
      if (key === undefined && pems === undefined)
        await createFile(pendingPath, keyText(await makeKey(keyType), pendingPath), 0o600);
      else if (await isStillHalf(keyPath, path)) throw refusal(`of ${keyPath} and ${path} one is missing`);
      continue;
    }
    const [first] = pems ?? [];
    if (first === undefined) await createFile(path, (await certifyRoot(commonName, pending, now)).pem, 0o644);
    else if (new X509Certificate(first).checkPrivateKey(pending)) await linkOnce(pendingPath, keyPath);
    else await removeFile(pendingPath);
  }
  throw refusal(`${directory} keeps changing while the authority is made`);
}

/** A second look: another process may have published the other half between the first two. */
async function isStillHalf(keyPath: string, path: string): Promise<boolean> {
  return (await readKey(keyPath)) === undefined || (await readCertificates(path)) === undefined;
}

/** Encrypts the keys of a directory that has a passphrase now. What was done, for the log. */
export async function encryptKeys(directory: string): Promise<readonly string[]> {
  const names = [authorityFiles.key, authorityFiles.nextKey, authorityFiles.untrustedKey];
  const done: string[] = [];
  for (const name of names) {
    const path = join(directory, name);
    const text = await readOwnFile(path, true);
    if (text === undefined || !lacksProtection(text, path)) continue;
    await replaceFile(path, keyText(keyInText(text, path), path), 0o600);
    done.push(`${name} is encrypted now; a copy made before is not`);
  }
  return done;
}

/** Runs a change of the directory alone: two at once could leave a key without its certificate. */
export async function withLock<Result>(directory: string, change: () => Promise<Result>): Promise<Result> {
  const path = join(directory, authorityFiles.lock);
  for (let tries = 0; !(await createFile(path, `${process.pid}\n`, 0o600)); tries++) {
    // A change takes milliseconds: a lock of a minute was left by a process that died.
    const made = await stat(path).catch(() => undefined);
    if (made !== undefined && Date.now() - made.mtimeMs > 60_000) await removeFile(path);
    if (tries >= 50) throw refusal(`${path} is held by another process`);
    await wait(100);
  }
  try {
    return await change();
  } finally {
    await removeFile(path);
  }
}

async function readKey(path: string): Promise<KeyObject | undefined> {
  const text = await readOwnFile(path, true);
  return text === undefined ? undefined : keyInText(text, path);
}

async function readCertificates(path: string): Promise<readonly string[] | undefined> {
  const text = await readOwnFile(path, false);
  if (text === undefined) return undefined;
  const pems = certificatePems(text, path);
  if (pems.length === 0) throw refusal(`${path} holds no certificate`);
  return pems;
}

async function readNext(directory: string, now: number): Promise<Issuer | undefined> {
  const key = await readKey(join(directory, authorityFiles.nextKey));
  const pems = await readCertificates(join(directory, authorityFiles.nextCertificates));
  // One without the other is what a change that was cut short leaves; the next change sweeps it away.
  return key === undefined || pems === undefined ? undefined : issuerOf(pems, key, now);
}

async function readActivation(directory: string): Promise<number | undefined> {
  const path = join(directory, authorityFiles.nextActivation);
  const text = await readOwnFile(path, false);
  if (text === undefined) return undefined;
  const time = Date.parse(text.trim());
  if (Number.isNaN(time)) throw refusal(`${path} holds no time`);
  return time;
}

function refusal(detail: string): FlowFailure {
  return new FlowFailure('GATEWAY_AUTHORITY_KEY', detail);
}
