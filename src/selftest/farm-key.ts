import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { keyIdentifierOf } from '../pki/certificate-writer.ts';

/** Kinds of keys that origins of the farm have, good and bad. */
export type KeyKind =
  | 'P-256'
  | 'P-384'
  | 'P-521'
  | 'P-192'
  | 'P-224'
  | 'secp256k1'
  | 'ed25519'
  | `RSA-${512 | 1024 | 1536 | 2048 | 3072}`;

/** A key of the farm with what certificates say of it. */
export interface FarmKey {
  readonly privateKey: KeyObject;
  /** SubjectPublicKeyInfo (DER). */
  readonly publicKey: Buffer;
  readonly identifier: Buffer;
}

/** Makes a key; an RSA key of 3072 bits takes some hundred milliseconds. */
export function makeFarmKey(kind: KeyKind): FarmKey {
  return farmKeyOf(generate(kind));
}

/** A key that was kept as PEM. */
export function farmKeyFromPem(pem: string): FarmKey {
  return farmKeyOf(createPrivateKey(pem));
}

/** A key with what certificates say of it. */
export function farmKeyOf(privateKey: KeyObject): FarmKey {
  const publicKey = createPublicKey(privateKey).export({ type: 'spki', format: 'der' });
  return { privateKey, publicKey, identifier: keyIdentifierOf(publicKey) };
}

function generate(kind: KeyKind): KeyObject {
  if (kind === 'ed25519') return generateKeyPairSync('ed25519').privateKey;
  if (kind.startsWith('RSA-')) {
    return generateKeyPairSync('rsa', { modulusLength: Number(kind.slice(4)) }).privateKey;
  }
  return generateKeyPairSync('ec', {
    namedCurve: kind === 'P-192' ? 'prime192v1' : kind === 'P-224' ? 'secp224r1' : kind,
  }).privateKey;
}
