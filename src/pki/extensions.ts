import type { Extension } from './certificate.ts';
import { DerError, DerReader, readBoolean, readNamedBits, readOid, readSmallInteger } from './der-reader.ts';
import { contextConstructed, contextPrimitive, tags } from './der-tags.ts';
import { oids } from './oids.ts';

/** Extensions of a certificate by object identifier. */
type Extensions = ReadonlyMap<string, Extension>;

/** Bits of keyUsage (RFC 5280 section 4.2.1.3). */
export const keyUsageBits = { digitalSignature: 0, keyEncipherment: 2, keyCertSign: 5, crlSign: 6 } as const;

/** Kinds of GeneralName (RFC 5280 section 4.2.1.6) that rules can be told about; `other` is every further one. */
export type NameKind = 'dns' | 'ip' | 'email' | 'uri' | 'directory' | 'other';

/** A name out of subjectAltName or a constraint, its octets unread. */
export interface RawName {
  readonly kind: NameKind;
  readonly octets: Buffer;
}

/** What nameConstraints allow and forbid. */
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
 * Names of subjectAltName, from the DER itself: a text form of it can be forged by what a name
 * contains (CVE-2021-44532).
 */
export function subjectAltNamesOf(extensions: Extensions): readonly RawName[] {
  const reader = openSequence(extensions, oids.subjectAltName);
  const names: RawName[] = [];
  while (reader !== undefined && !reader.atEnd) names.push(rawName(reader));
  return names;
}

/** Constraints on names below a CA; undefined when the extension is absent. */
export function nameConstraintsOf(extensions: Extensions): NameConstraints | undefined {
  const reader = openSequence(extensions, oids.nameConstraints);
  if (reader === undefined) return undefined;
  const permitted = readSubtrees(reader, 0);
  const excluded = readSubtrees(reader, 1);
  reader.end();
  // Section 4.2.1.10: neither an empty extension nor an empty list may be issued; whoever did meant something else.
  if (permitted === undefined && excluded === undefined) throw new DerError('name constraints without a subtree');
  return { permitted: permitted ?? [], excluded: excluded ?? [] };
}

/** HTTP addresses of authorityInfoAccess at which the issuer's certificate can be had (section 4.2.2.1). */
export function issuerAddressesOf(extensions: Extensions): readonly string[] {
  const reader = openSequence(extensions, oids.authorityInfoAccess);
  if (reader?.atEnd) throw new DerError('authority information without an entry');
  const addresses: string[] = [];
  while (reader !== undefined && !reader.atEnd) {
    const access = reader.enter();
    const method = readOid(access.read(tags.oid).content);
    const { kind, octets } = rawName(access);
    access.end();
    if (method === oids.caIssuers && kind === 'uri') addresses.push(octets.toString('latin1'));
  }
  return addresses.filter((address) => address.startsWith('http://'));
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

/** Kinds by the number of their tag. */
const kinds: readonly NameKind[] = ['other', 'email', 'dns', 'other', 'directory', 'other', 'uri', 'ip', 'other'];

function rawName(reader: DerReader): RawName {
  const { tag, content } = reader.read();
  const number = tag & 0x1f;
  const kind = kinds[number];
  // GeneralName is a CHOICE of context tags 0 to 8 (RFC 5280 section 4.2.1.6).
  if ((tag & 0xc0) !== 0x80 || kind === undefined) throw new DerError('not a GeneralName');
  const constructed = (tag & 0x20) !== 0;
  if (kind !== 'other' && constructed !== (kind === 'directory')) throw new DerError('not a GeneralName');
  return { kind, octets: content };
}

function readSubtrees(reader: DerReader, number: number): readonly RawName[] | undefined {
  const value = reader.optional(contextConstructed(number));
  if (value === undefined) return undefined;
  const names: RawName[] = [];
  const subtrees = new DerReader(value.content);
  if (subtrees.atEnd) throw new DerError('name constraints without a subtree');
  while (!subtrees.atEnd) {
    const subtree = subtrees.enter();
    names.push(rawName(subtree));
    // minimum and maximum would follow; section 4.2.1.10 fixes them to their defaults, which DER leaves out.
    subtree.end();
  }
  return names;
}
