import { sign } from 'node:crypto';
import { freshSerialNumber } from '../pki/certificate-writer.ts';
import { explicit, integer, nothing, octetBits, oid, sequence, time, unsignedInteger } from '../pki/der-writer.ts';
import type { FarmKey } from './farm-key.ts';

/** Hashes of signatures that no certificate should carry any more, and the one that it should. */
export type ForgedHash = 'md5' | 'sha1' | 'sha256';

/** What a forged certificate says, right or wrong: nothing is checked. */
export interface Forgery {
  readonly version: 1 | 3;
  readonly issuer: Buffer;
  readonly subject: Buffer;
  /** Milliseconds since the epoch. */
  readonly notBefore: number;
  readonly notAfter: number;
  readonly publicKey: Buffer;
  readonly extensions: readonly Buffer[];
  readonly hash: ForgedHash;
  /** Flips a bit of the signature. */
  readonly damaged: boolean;
}

/** Identifiers of signature algorithms by hash (RFC 3279 section 2.2, RFC 5758 section 3.2). MD5 exists with RSA alone. */
const algorithms = {
  rsa: { md5: '1.2.840.113549.1.1.4', sha1: '1.2.840.113549.1.1.5', sha256: '1.2.840.113549.1.1.11' },
  ec: { md5: '', sha1: '1.2.840.10045.4.1', sha256: '1.2.840.10045.4.3.2' },
} as const;

/** Signs a certificate that may break any rule: the writer in pki makes only those that keep them. */
export function forgeCertificate(forgery: Forgery, signer: FarmKey): Buffer {
  const algorithm = algorithmOf(forgery.hash, signer);
  const content = sequence(
    ...(forgery.version === 3 ? [explicit(0, integer(2))] : []),
    unsignedInteger(freshSerialNumber()),
    algorithm,
    forgery.issuer,
    sequence(time(forgery.notBefore), time(forgery.notAfter)),
    forgery.subject,
    forgery.publicKey,
    ...(forgery.version === 3 && forgery.extensions.length > 0 ? [explicit(3, sequence(...forgery.extensions))] : []),
  );
  return signedBy(signer, forgery.hash, content, algorithm, forgery.damaged);
}

/** A signed structure as certificates, CRLs and OCSP responses share it: content, algorithm, signature. */
export function signedBy(
  signer: FarmKey,
  hash: ForgedHash,
  content: Buffer,
  algorithm: Buffer = algorithmOf(hash, signer),
  damaged = false,
): Buffer {
  const signature = sign(hash, content, signer.privateKey);
  // The last octet: in ECDSA the low end of s, so that the structure of the signature stays whole.
  if (damaged) signature[signature.length - 1] = (signature.at(-1) ?? 0) ^ 1;
  return sequence(content, algorithm, octetBits(signature));
}

/** AlgorithmIdentifier of a signature. */
export function algorithmOf(hash: ForgedHash, { privateKey }: FarmKey): Buffer {
  if (privateKey.asymmetricKeyType === 'rsa') return sequence(oid(algorithms.rsa[hash]), nothing());
  return sequence(oid(algorithms.ec[hash]));
}
