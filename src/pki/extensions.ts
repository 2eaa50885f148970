import type { Extension } from './certificate.ts';
import { DerError, DerReader, readBoolean, readNamedBits, readOid, readSmallInteger } from './der-reader.ts';
import { contextConstructed, contextPrimitive, tags } from './der-tags.ts';
import { oids } from './oids.ts';

/** Extensions of a certificate by object identifier. */
type Extensions = ReadonlyMap<string, Extension>;

/** Bits of keyUsage (RFC 5280 section 4.2.1.3). */
export const keyUsageBits = { digitalSignature: 0, keyEncipherment: 2, keyCertSign: 5, crlSign: 6 } as const;

/** A name out of subjectAltName or a constraint, its octets unread. Only the kinds that identify hosts. */
export interface RawName {
  readonly kind: 'dns' | 'ip';
  readonly octets: Buffer;
}

/** What nameConstraints say about hosts. */
export interface NameConstraints {
  readonly permitted: readonly RawName[];
  readonly excluded: readonly RawName[];
}

/** Whether basicConstraints say that the certificate is a CA, and how many CAs may follow. */
export function basicConstraintsOf(extensions: Extensions): {
  readonly ca: boolean;
  readonly pathLength: number | undefined;
} {
  const reader = openSequence(extensions, oids.basicConstraints);
  if (reader === undefined) return { ca: false, pathLength: undefined };
  const ca = reader.optional(tags.boolean);
  const pathLength = reader.optional(tags.integer);
  reader.end();
  return {
    ca: ca !== undefined && readBoolean(ca.content),
    pathLength: pathLength === undefined ? undefined : readSmallInteger(pathLength.content),
  };
}

/** Bits set in keyUsage; undefined when the extension is absent, which means all. */
export function keyUsageOf(extensions: Extensions): ReadonlySet<number> | undefined {
  const reader = open(extensions, oids.keyUsage);
  const bits = reader?.read(tags.bitString);
  reader?.end();
  return bits === undefined ? undefined : readNamedBits(bits.content);
}

/** Purposes of extendedKeyUsage; undefined when the extension is absent. */
export function extendedKeyUsageOf(extensions: Extensions): ReadonlySet<string> | undefined {
  const reader = openSequence(extensions, oids.extendedKeyUsage);
  if (reader === undefined) return undefined;
  const purposes = new Set<string>();
  while (!reader.atEnd) purposes.add(readOid(reader.read(tags.oid).content));
  return purposes;
}

/**
 * Host names and addresses of subjectAltName, from the DER itself: a text form of it can be forged by what a name
 * contains (CVE-2021-44532).
 */
export function subjectAltNamesOf(extensions: Extensions): readonly RawName[] {
  const reader = openSequence(extensions, oids.subjectAltName);
  const names: RawName[] = [];
  while (reader !== undefined && !reader.atEnd) {
    const name = rawName(reader);
    if (name !== undefined) names.push(name);
  }
  return names;
}

/** Constraints on hosts; undefined when the extension is absent. */
export function nameConstraintsOf(extensions: Extensions): NameConstraints | undefined {
  const reader = openSequence(extensions, oids.nameConstraints);
  if (reader === undefined) return undefined;
  const permitted = readSubtrees(reader, 0);
  const excluded = readSubtrees(reader, 1);
  reader.end();
  return { permitted, excluded };
}

/** subjectKeyIdentifier. */
export function subjectKeyIdentifierOf(extensions: Extensions): Buffer | undefined {
  const reader = open(extensions, oids.subjectKeyIdentifier);
  const identifier = reader?.read(tags.octetString).content;
  reader?.end();
  return identifier;
}

/** keyIdentifier of authorityKeyIdentifier. */
export function authorityKeyIdentifierOf(extensions: Extensions): Buffer | undefined {
  return openSequence(extensions, oids.authorityKeyIdentifier)?.optional(contextPrimitive(0))?.content;
}

function open(extensions: Extensions, oid: string): DerReader | undefined {
  const extension = extensions.get(oid);
  return extension === undefined ? undefined : new DerReader(extension.value);
}

function openSequence(extensions: Extensions, oid: string): DerReader | undefined {
  const outer = open(extensions, oid);
  const reader = outer?.enter();
  outer?.end();
  return reader;
}

function rawName(reader: DerReader): RawName | undefined {
  const { tag, content } = reader.read();
  // GeneralName is a CHOICE of context tags 0 to 8 (RFC 5280 section 4.2.1.6).
  if ((tag & 0xc0) !== 0x80 || (tag & 0x1f) > 8) throw new DerError('not a GeneralName');
  if (tag === contextPrimitive(2)) return { kind: 'dns', octets: content };
  if (tag === contextPrimitive(7)) return { kind: 'ip', octets: content };
  return undefined;
}

function readSubtrees(reader: DerReader, number: number): readonly RawName[] {
  const value = reader.optional(contextConstructed(number));
  const names: RawName[] = [];
  const subtrees = value === undefined ? undefined : new DerReader(value.content);
  while (subtrees !== undefined && !subtrees.atEnd) {
    // minimum and maximum follow the name; RFC 5280 section 4.2.1.10 fixes them to their defaults.
    const name = rawName(subtrees.enter());
    if (name !== undefined) names.push(name);
  }
  return names;
}
