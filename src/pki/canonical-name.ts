import { DerError, DerReader, type DerValue, readOid } from './der-reader.ts';
import { tags } from './der-tags.ts';

/** A distinguished name in a form in which two names are equal when their texts are (RFC 5280 section 7.1). */
export interface CanonicalName {
  /** Relative names, the most general first. */
  readonly parts: readonly string[];
  /** All of them; empty for the empty name. */
  readonly key: string;
}

/**
 * Folds case and blanks, and forgets which string type a CA chose, as OpenSSL does. What OpenSSL takes for equal is equal
 * here or refused: path-search.ts relies on it. Throws DerError.
 */
export function canonicalName(name: Buffer): CanonicalName {
  const parts: string[] = [];
  const reader = new DerReader(name).enter();
  while (!reader.atEnd) parts.push(relativeName(reader.enter(tags.set)));
  return { parts, key: parts.join('/') };
}

/** Whether a name lies within a subtree (RFC 5280 section 4.2.1.10): the subtree's parts come first in it. */
export function isWithin(name: CanonicalName, subtree: CanonicalName): boolean {
  return subtree.parts.length <= name.parts.length && subtree.parts.every((part, index) => part === name.parts[index]);
}

/** Values of an attribute in a name, e.g. every emailAddress. */
export function attributeValues(name: Buffer, type: string): readonly Buffer[] {
  const values: Buffer[] = [];
  const reader = new DerReader(name).enter();
  while (!reader.atEnd) {
    const set = reader.enter(tags.set);
    while (!set.atEnd) {
      const attribute = set.enter();
      const found = readOid(attribute.read(tags.oid).content);
      const { content } = attribute.read();
      if (found === type) values.push(content);
    }
  }
  return values;
}

function relativeName(set: DerReader): string {
  const attributes: string[] = [];
  if (set.atEnd) throw new DerError('relative name without an attribute');
  while (!set.atEnd) {
    const attribute = set.enter();
    const type = readOid(attribute.read(tags.oid).content);
    const text = canonicalText(attribute.read());
    attribute.end();
    // With its length, no value can pass for two.
    attributes.push(`${type}:${text.length}:${text}`);
  }
  return attributes.sort().join('+');
}

function canonicalText(value: DerValue): string {
  refuseSecondForms(value);
  const text = textOf(value);
  return text === undefined ? `#${value.whole.toString('hex')}` : text.trim().replace(/\s+/g, ' ').toLowerCase();
}

/** Forms of a value that DER forbids beside the one that it knows (X.690 sections 10.2 and 11.2.1); OpenSSL reads them. */
function refuseSecondForms({ tag, content }: DerValue): void {
  if ((tag & constructed) !== 0 && tag !== tags.sequence) throw new DerError('string in pieces');
  if (tag !== tags.bitString) return;
  const [unused = 0] = content;
  const last = content.at(-1) ?? 0;
  const isPadded = content.length === 1 ? unused !== 0 : (last & (2 ** unused - 1)) !== 0;
  if (unused > 7 || isPadded) throw new DerError('bit string with padding that is not zero');
}

const constructed = 0x20;

/** Undefined for what is no text in UTF-32 (X.690 section 8.23.7). */
function utf32Text(content: Buffer): string | undefined {
  if (content.length % 4 !== 0) return undefined;
  let text = '';
  for (let at = 0; at < content.length; at += 4) {
    const point = content.readUInt32BE(at);
    if (point > 0x10ffff) return undefined;
    text += String.fromCodePoint(point);
  }
  return text;
}

function textOf({ tag, content }: DerValue): string | undefined {
  switch (tag) {
    case tags.utf8String:
      return content.toString('utf8');
    case tags.printableString:
    case tags.ia5String:
    case tags.t61String:
    case tags.visibleString:
    case tags.numericString:
      return content.toString('latin1');
    case tags.bmpString:
      return content.length % 2 === 0 ? Buffer.from(content).swap16().toString('utf16le') : undefined;
    case tags.universalString:
      return utf32Text(content);
    default:
      return undefined;
  }
}
