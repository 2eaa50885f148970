import { createPublicKey, constants as cryptoConstants, type VerifyKeyObjectInput, verify } from 'node:crypto';
import { type Algorithm, type PublicKey, readAlgorithm } from '../certificate.ts';
import { DerReader, readOctetBits, readSmallInteger } from '../der-reader.ts';
import { contextConstructed, tags } from '../der-tags.ts';
import { oids } from '../oids.ts';
import { signatureWeakness } from '../strength.ts';

/** Bytes with a signature over them: a CRL, an OCSP answer, a certificate. */
export interface SignedObject {
  readonly signed: Buffer;
  readonly algorithm: Algorithm;
  readonly signature: Buffer;
}

/** Reads the three parts that every signed object begins with; the algorithm of the signature is the one that counts. */
export function readSigned(reader: DerReader): SignedObject {
  const signed = reader.read(tags.sequence).whole;
  const algorithm = readAlgorithm(reader.enter());
  return { signed, algorithm, signature: readOctetBits(reader.read(tags.bitString).content) };
}

interface Scheme {
  /** Null where the algorithm hashes by itself. */
  readonly hash: string | null;
  readonly keyType: string;
  readonly saltLength?: number;
}

interface SignatureCheck {
  readonly hash: string | null;
  readonly key: VerifyKeyObjectInput;
}

/** Checks a signature at once. False when it is wrong, weak, or of another kind than the key. */
export function isSignedBy(object: SignedObject, key: PublicKey): boolean {
  const check = checkOf(object, key);
  return check !== undefined && verify(check.hash, object.signed, check.key, object.signature);
}

/** Checks a signature on the thread pool: hashing 10 MB would hold up the event loop. */
export function isSignedByEventually(object: SignedObject, key: PublicKey): Promise<boolean> {
  return new Promise((resolve) => {
    const check = checkOf(object, key);
    if (check === undefined) return resolve(false);
    verify(check.hash, object.signed, check.key, object.signature, (error, isRight) => resolve(!error && isRight));
  });
}

function checkOf(object: SignedObject, key: PublicKey): SignatureCheck | undefined {
  try {
    if (signatureWeakness(object.algorithm) !== undefined) return undefined;
    const scheme = schemeOf(object.algorithm);
    // OpenSSL goes by the type of the key: an algorithm that does not fit it would go unnoticed.
    if (scheme === undefined || !fits(scheme, key)) return undefined;
    const publicKey = createPublicKey({ key: key.whole, format: 'der', type: 'spki' });
    return { hash: scheme.hash, key: { key: publicKey, ...paddingOf(scheme) } };
  } catch {
    // Parameters that are malformed, or a key that OpenSSL does not take: nothing is proved.
    return undefined;
  }
}

function fits({ keyType }: Scheme, key: PublicKey): boolean {
  return keyType === key.algorithm.oid || (keyType === oids.rsaPss && key.algorithm.oid === oids.rsa);
}

function paddingOf({ saltLength }: Scheme): object {
  return saltLength === undefined ? {} : { padding: cryptoConstants.RSA_PKCS1_PSS_PADDING, saltLength };
}

const hashes: Readonly<Record<string, string>> = {
  [oids.sha256]: 'sha256',
  [oids.sha384]: 'sha384',
  [oids.sha512]: 'sha512',
};

const schemes: Readonly<Record<string, Scheme>> = {
  [oids.rsaSha256]: { hash: 'sha256', keyType: oids.rsa },
  [oids.rsaSha384]: { hash: 'sha384', keyType: oids.rsa },
  [oids.rsaSha512]: { hash: 'sha512', keyType: oids.rsa },
  [oids.ecdsaSha256]: { hash: 'sha256', keyType: oids.ec },
  [oids.ecdsaSha384]: { hash: 'sha384', keyType: oids.ec },
  [oids.ecdsaSha512]: { hash: 'sha512', keyType: oids.ec },
};

/** Those that are left hash by themselves and are named like their keys (RFC 8410 section 3, RFC 9881 section 2). */
function schemeOf(algorithm: Algorithm): Scheme | undefined {
  if (algorithm.oid === oids.rsaPss) return pssScheme(algorithm.parameters);
  return schemes[algorithm.oid] ?? { hash: null, keyType: algorithm.oid };
}

/** RSASSA-PSS-params (RFC 4055 section 3.1), of which only those with one hash throughout are in use. */
function pssScheme(parameters: Buffer): Scheme | undefined {
  const reader = new DerReader(parameters).enter();
  const hash = hashes[inContext(reader, 0)?.oid ?? ''];
  const mask = inContext(reader, 1);
  const salt = reader.optional(contextConstructed(2));
  if (hash === undefined || salt === undefined || mask?.oid !== oids.mgf1) return undefined;
  if (hashes[readAlgorithm(new DerReader(mask.parameters).enter()).oid] !== hash) return undefined;
  const saltLength = readSmallInteger(new DerReader(salt.content).read(tags.integer).content);
  return { hash, keyType: oids.rsaPss, saltLength };
}

function inContext(reader: DerReader, number: number): Algorithm | undefined {
  const wrapper = reader.optional(contextConstructed(number));
  return wrapper === undefined ? undefined : readAlgorithm(new DerReader(wrapper.content).enter());
}
