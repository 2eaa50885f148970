import {
  DerError,
  DerReader,
  readBoolean,
  readInteger,
  readOctetBits,
  readOid,
  readSmallInteger,
  readTime,
} from './der-reader.ts';
import { contextConstructed, contextPrimitive, tags } from './der-tags.ts';

/** An extension: its value is the DER inside the OCTET STRING. */
export interface Extension {
  readonly critical: boolean;
  readonly value: Buffer;
}

/** An AlgorithmIdentifier; `parameters` is their whole DER, empty when absent. */
export interface Algorithm {
  readonly oid: string;
  readonly parameters: Buffer;
}

export interface PublicKey {
  readonly algorithm: Algorithm;
  /** Content of the BIT STRING: RSAPublicKey, an EC point, or raw octets. */
  readonly bits: Buffer;
  /** The whole SubjectPublicKeyInfo. */
  readonly whole: Buffer;
}

/** A certificate taken apart (RFC 5280 section 4.1). Buffers are views into its DER. */
export interface Certificate {
  readonly version: number;
  /** Upper-case hex, without a sign octet. */
  readonly serialNumber: string;
  /** Content of its INTEGER, sign octet included: what a CRL or an OCSP answer repeats. */
  readonly serialOctets: Buffer;
  readonly signatureAlgorithm: Algorithm;
  readonly issuer: Buffer;
  readonly subject: Buffer;
  /** Milliseconds since the epoch; `notAfter` is the last second that is valid. */
  readonly notBefore: number;
  readonly notAfter: number;
  readonly publicKey: PublicKey;
  /** By object identifier. */
  readonly extensions: ReadonlyMap<string, Extension>;
}

/** Takes a certificate apart; throws DerError when it is not strict DER or breaks the frame of RFC 5280 section 4.1. */
export function parseCertificate(der: Uint8Array): Certificate {
  const outer = new DerReader(der);
  const body = outer.enter();
  outer.end();
  const signed = body.enter();
  const outerAlgorithm = body.read(tags.sequence);
  body.read(tags.bitString);
  body.end();
  const version = readVersion(signed);
  const serialOctets = readInteger(signed.read(tags.integer).content);
  const innerAlgorithm = signed.read(tags.sequence);
  // Section 4.1.1.2: both must be the same, or what was signed is not what is checked.
  if (!innerAlgorithm.whole.equals(outerAlgorithm.whole)) throw new DerError('two different signature algorithms');
  const issuer = signed.read(tags.sequence).whole;
  const validity = signed.enter();
  const notBefore = readTime(validity.read());
  const notAfter = readTime(validity.read());
  validity.end();
  const subject = signed.read(tags.sequence).whole;
  const publicKey = parsePublicKey(signed.read(tags.sequence).whole);
  signed.optional(contextPrimitive(1));
  signed.optional(contextPrimitive(2));
  const extensions = readExtensions(signed);
  signed.end();
  return {
    version,
    serialNumber: serialText(serialOctets),
    serialOctets,
    signatureAlgorithm: readAlgorithm(new DerReader(innerAlgorithm.content)),
    issuer,
    subject,
    notBefore,
    notAfter,
    publicKey,
    extensions,
  };
}

/** Takes a SubjectPublicKeyInfo apart. */
export function parsePublicKey(whole: Buffer): PublicKey {
  const outer = new DerReader(whole);
  const reader = outer.enter();
  outer.end();
  const algorithm = readAlgorithm(reader.enter());
  const bits = readOctetBits(reader.read(tags.bitString).content);
  reader.end();
  return { algorithm, bits, whole };
}

/** Reads the content of an AlgorithmIdentifier. */
export function readAlgorithm(reader: DerReader): Algorithm {
  const oid = readOid(reader.read(tags.oid).content);
  const parameters = reader.atEnd ? Buffer.alloc(0) : reader.read().whole;
  reader.end();
  return { oid, parameters };
}

function readVersion(signed: DerReader): number {
  const wrapper = signed.optional(contextConstructed(0));
  if (wrapper === undefined) return 1;
  const reader = new DerReader(wrapper.content);
  const version = readSmallInteger(reader.read(tags.integer).content);
  reader.end();
  return version + 1;
}

function serialText(octets: Buffer): string {
  return (octets.length > 1 && octets[0] === 0 ? octets.subarray(1) : octets).toString('hex').toUpperCase();
}

function readExtensions(signed: DerReader): ReadonlyMap<string, Extension> {
  const wrapper = signed.optional(contextConstructed(3));
  if (wrapper === undefined) return new Map();
  const outer = new DerReader(wrapper.content);
  const list = outer.enter();
  outer.end();
  return readExtensionList(list);
}

/** Reads the content of Extensions, of a certificate, a CRL or an OCSP answer. */
export function readExtensionList(list: DerReader): ReadonlyMap<string, Extension> {
  const extensions = new Map<string, Extension>();
  while (!list.atEnd) {
    const extension = list.enter();
    const oid = readOid(extension.read(tags.oid).content);
    const critical = extension.optional(tags.boolean);
    const value = extension.read(tags.octetString).content;
    extension.end();
    // Section 4.2: a certificate has at most one of each; two would let two readers see two different ones.
    if (extensions.has(oid)) throw new DerError('the same extension twice');
    extensions.set(oid, { critical: critical !== undefined && readBoolean(critical.content), value });
  }
  return extensions;
}
