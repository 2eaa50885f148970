import { hash, type KeyObject, randomBytes, sign } from 'node:crypto';
import { promisify } from 'node:util';
import { strike } from '../core/simulation.ts';
import { type Algorithm, parsePublicKey } from './certificate.ts';
import {
  boolean,
  explicit,
  implicit,
  integer,
  namedBits,
  nothing,
  octetBits,
  octetString,
  oid,
  sequence,
  setOf,
  time,
  unsignedInteger,
  utf8String,
} from './der-writer.ts';
import { keyUsageBits } from './extensions.ts';
import { oids } from './oids.ts';

/** What a certificate says (RFC 5280 section 4.1); names, key and extensions are DER already. */
export interface CertificateContent {
  readonly serialNumber: Uint8Array;
  readonly issuer: Uint8Array;
  readonly subject: Uint8Array;
  /** Milliseconds since the epoch, cut to seconds. */
  readonly notBefore: number;
  readonly notAfter: number;
  /** SubjectPublicKeyInfo. */
  readonly publicKey: Uint8Array;
  readonly extensions: readonly Uint8Array[];
}

interface SignatureScheme {
  readonly hash: string;
  readonly algorithm: Uint8Array;
}

const signAsync = promisify(sign);

/** Signs a certificate of X.509 v3 on libuv's thread pool: an RSA signature would stall the event loop for a millisecond. */
export async function signCertificate(content: CertificateContent, key: KeyObject): Promise<Buffer> {
  strike('signing');
  const scheme = schemeOf(key);
  const signed = sequence(
    explicit(0, integer(2)),
    unsignedInteger(content.serialNumber),
    scheme.algorithm,
    content.issuer,
    sequence(time(content.notBefore), time(content.notAfter)),
    content.subject,
    content.publicKey,
    explicit(3, sequence(...content.extensions)),
  );
  return sequence(signed, scheme.algorithm, octetBits(await signAsync(scheme.hash, signed, key)));
}

/** Whether certificates can be signed with a key: RSA, or ECDSA on a curve of NIST that clients know. */
export function canSign(key: KeyObject): boolean {
  return key.asymmetricKeyType === 'rsa' || ecScheme(key) !== undefined;
}

/** 128 random bits: unique without a register, and not to be guessed (STIP FDP_CER_EXT.1; RFC 5280 section 4.1.2.2). */
export function freshSerialNumber(): Buffer {
  strike('random');
  return randomBytes(16);
}

/** subjectKeyIdentifier of a key: 160 bits of SHA-256 over its bits (RFC 7093 section 2, method 1). */
export function keyIdentifierOf(publicKey: Buffer): Buffer {
  return hash('sha256', parsePublicKey(publicKey).bits, 'buffer').subarray(0, 20);
}

/** A distinguished name with a common name, or the empty one. */
export function commonNameOnly(commonName: string | undefined): Buffer {
  if (commonName === undefined) return sequence();
  return sequence(setOf(sequence(oid(oids.commonName), utf8String(commonName))));
}

/** An extension from the DER of its value. */
export function extension(identifier: string, critical: boolean, content: Uint8Array): Buffer {
  // DEFAULT FALSE is left out in DER (X.690 section 11.5).
  return sequence(oid(identifier), ...(critical ? [boolean(true)] : []), octetString(content));
}

/** keyUsage, always critical (RFC 5280 section 4.2.1.3). */
export function keyUsageExtension(...bits: readonly (keyof typeof keyUsageBits)[]): Buffer {
  return extension(oids.keyUsage, true, namedBits(...bits.map((bit) => keyUsageBits[bit])));
}

/** basicConstraints: of a CA critical with a path length, of a leaf the empty sequence, which says "no CA". */
export function basicConstraintsExtension(constraints: { readonly pathLength: number } | undefined): Buffer {
  if (constraints === undefined) return extension(oids.basicConstraints, true, sequence());
  return extension(oids.basicConstraints, true, sequence(boolean(true), integer(constraints.pathLength)));
}

/** subjectKeyIdentifier. */
export function subjectKeyExtension(identifier: Uint8Array): Buffer {
  return extension(oids.subjectKeyIdentifier, false, octetString(identifier));
}

/** authorityKeyIdentifier with the issuer's key identifier alone. */
export function authorityKeyExtension(identifier: Uint8Array): Buffer {
  return extension(oids.authorityKeyIdentifier, false, sequence(implicit(0, identifier)));
}

function schemeOf(key: KeyObject): SignatureScheme {
  if (key.asymmetricKeyType === 'rsa')
    return { hash: 'sha256', algorithm: algorithm({ oid: oids.rsaSha256, parameters: nothing() }) };
  const scheme = ecScheme(key);
  if (scheme === undefined) throw new TypeError(`no signature scheme for ${key.asymmetricKeyType}`);
  return scheme;
}

/** The hash as strong as the curve (RFC 5758 section 3.2); ECDSA identifiers have no parameters. */
function ecScheme(key: KeyObject): SignatureScheme | undefined {
  const none = Buffer.alloc(0);
  switch (key.asymmetricKeyDetails?.namedCurve) {
    case 'prime256v1':
      return { hash: 'sha256', algorithm: algorithm({ oid: oids.ecdsaSha256, parameters: none }) };
    case 'secp384r1':
      return { hash: 'sha384', algorithm: algorithm({ oid: oids.ecdsaSha384, parameters: none }) };
    case 'secp521r1':
      return { hash: 'sha512', algorithm: algorithm({ oid: oids.ecdsaSha512, parameters: none }) };
    default:
      return undefined;
  }
}

function algorithm({ oid: identifier, parameters }: Algorithm): Buffer {
  return sequence(oid(identifier), parameters);
}
