import { hash, sign, verify, X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Issuer } from './issuer.ts';
import { readOwnFile, replaceFile } from './private-files.ts';

/** What the authority has signed of its issuance log: how far it went at a time. */
export interface IssuanceSeal {
  /** ISO 8601. */
  readonly time: string;
  /** SHA-256 of the last line then. */
  readonly head: string;
}

export type SealReading =
  | { readonly kind: 'missing' }
  /** Not written by a key of this authority, or not readable. */
  | { readonly kind: 'forged'; readonly detail: string }
  /** `by` is the SHA-256 of the CA's certificate. */
  | { readonly kind: 'sealed'; readonly seal: IssuanceSeal; readonly by: string };

const fileName = 'issued.seal';
const signAsync = promisify(sign);

/**
 * Seals the log at its last line with the authority's key. The chain alone shows no cut at its end: whoever can write the
 * directory could drop the last lines. What lies before a seal can only be dropped together with the seal.
 */
export async function writeSeal(directory: string, head: string, issuer: Issuer, now: number): Promise<void> {
  const seal: IssuanceSeal = { time: new Date(now).toISOString(), head };
  const signature = await signAsync('sha256', sealedBytes(seal), issuer.key);
  const content = { ...seal, issuer: issuer.fingerprint256, signature: signature.toString('base64') };
  await replaceFile(join(directory, fileName), `${JSON.stringify(content)}\n`, 0o600);
}

/** Reads the seal of a directory, or one that was kept elsewhere, and checks it with the certificates of the authority. */
export async function readSeal(directory: string, certificates: readonly string[]): Promise<SealReading> {
  const text = await readOwnFile(join(directory, fileName), true);
  return text === undefined ? { kind: 'missing' } : parseSeal(text, certificates);
}

/**
 * Has a CA sign what another one of `certificates` has sealed, as long as that can be verified: its certificate is about to
 * go. Says what is wrong with a seal that none of them signed, which stays as it is.
 */
export async function sealBy(
  issuer: Issuer,
  directory: string,
  certificates: readonly string[],
): Promise<string | undefined> {
  const reading = await readSeal(directory, certificates);
  if (reading.kind === 'forged') return reading.detail;
  if (reading.kind === 'missing' || reading.by === issuer.fingerprint256) return undefined;
  await writeSeal(directory, reading.seal.head, issuer, Date.parse(reading.seal.time));
  return undefined;
}

/** The seal in a text. */
export function parseSeal(text: string, certificates: readonly string[]): SealReading {
  try {
    const { time, head, issuer, signature }: Record<string, unknown> = JSON.parse(text);
    if (typeof time !== 'string' || typeof head !== 'string' || typeof signature !== 'string')
      throw new TypeError('no seal');
    const signer = certificates
      .map((pem) => new X509Certificate(pem))
      .find((certificate) => hash('sha256', certificate.raw, 'hex') === issuer);
    if (signer === undefined) return { kind: 'forged', detail: 'the seal is of no CA of this authority' };
    const seal = { time, head };
    return verify('sha256', sealedBytes(seal), signer.publicKey, Buffer.from(signature, 'base64'))
      ? { kind: 'sealed', seal, by: String(issuer) }
      : { kind: 'forged', detail: 'the signature of the seal is wrong' };
  } catch {
    return { kind: 'forged', detail: 'the seal cannot be read' };
  }
}

/** Told apart from everything else that the key signs, all of which begins as DER. */
function sealedBytes({ time, head }: IssuanceSeal): Buffer {
  return Buffer.from(`daylight issuance log\n${time}\n${head}\n`, 'latin1');
}
