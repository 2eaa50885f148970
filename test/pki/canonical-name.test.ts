import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { canonicalName } from '../../src/pki/canonical-name.ts';
import { tags } from '../../src/pki/der-tags.ts';
import { oid, sequence, setOf, value } from '../../src/pki/der-writer.ts';
import { labCertificate, labKey } from './support/lab.ts';

const key = labKey('ed25519');

/** What OpenSSL says: whether a certificate that names this issuer can be issued by one with that subject. */
function isSameToOpenssl(one: Buffer, other: Buffer): boolean {
  try {
    const issuer = labCertificate(undefined, { name: one, key });
    const child = labCertificate({ ...issuer, name: other }, { commonName: 'Child', key });
    return child.x509.checkIssued(issuer.x509);
  } catch {
    // It reads neither, so that it can go over neither.
    return false;
  }
}

function isSameToUs(one: Buffer, other: Buffer): boolean | 'refused' {
  try {
    return canonicalName(one).key === canonicalName(other).key;
  } catch {
    return 'refused';
  }
}

const name = (...parts: readonly (readonly Buffer[])[]) =>
  sequence(...parts.map((part) => setOf(...part.map((one) => sequence(oid('2.5.4.3'), one)))));

describe('two names that OpenSSL takes for one', () => {
  const whole = value(tags.utf8String, Buffer.from('A'));

  test.each([
    ['a string in pieces', name([value(0x20 | tags.utf8String, whole)]), name([whole])],
    ['a relative name without an attribute', name([], [whole]), name([whole])],
    ['padding of a bit string that is not zero', name([bits(7, 0xff)]), name([bits(7, 0x80)])],
    ['unused bits of a bit string without any', name([bits(7)]), name([bits(0)])],
  ])('are refused where DER knows one of them alone: %s', (_, strange, right) => {
    expect(isSameToOpenssl(strange, right)).toBe(true);
    expect(isSameToUs(strange, right)).toBe('refused');
    expect(isSameToUs(right, right)).toBe(true);
  });

  test('are one name for us or refused, however they are spelled', () => {
    const text = fc.constantFrom('a', 'b', 'a b', 'é', '😀', 'ẞ', 'aΣ', '\u000b', '1', '');
    // The same parts are written twice, each time in some way of its own.
    const pairs = fc
      .array(text, { minLength: 1, maxLength: 2 })
      .chain((texts) => fc.tuple(spelled(texts), spelled(texts)));
    const seen = { same: 0, refused: 0 };
    fc.assert(
      fc.property(pairs, ([one, another]) => {
        if (!isSameToOpenssl(one, another)) return;
        const ours = isSameToUs(one, another);
        expect(ours).not.toBe(false);
        seen[ours === true ? 'same' : 'refused'] += 1;
      }),
      { numRuns: 2_000 },
    );
    // Neither kind is left to chance.
    expect(seen.same).toBeGreaterThan(20);
    expect(seen.refused).toBeGreaterThan(20);
  });
});

/** A name of these texts, in any string types, with blanks and letters that do not count, in pieces, with empty parts. */
function spelled(texts: readonly string[]): fc.Arbitrary<Buffer> {
  const attributes = texts.map((text) => {
    const spoken = fc.constantFrom(text, ` ${text}`, text.toUpperCase(), text.replace(' ', '  '));
    const string = fc
      .record({ spoken, encode: fc.constantFrom(...spellings), isWhole: fc.constantFrom(true, true, true, false) })
      .map(({ spoken: said, encode, isWhole }) => {
        const { tag, content } = encode(said);
        if (isWhole) return value(tag, content);
        return value(0x20 | tag, value(tag, content.subarray(0, 4)), value(tag, content.subarray(4)));
      });
    const other = fc.constantFrom(bits(0, 0x80), bits(7, 0x80), bits(7, 0xff), bits(0), bits(3));
    return fc.oneof({ weight: 9, arbitrary: string }, { weight: 1, arbitrary: other });
  });
  return fc
    .record({ one: fc.tuple(...attributes), empty: fc.constantFrom(false, false, false, true) })
    .map(({ one, empty }) => name(...one.map((attribute) => [attribute]), ...(empty ? [[]] : [])));
}

function bits(unused: number, ...octets: number[]): Buffer {
  return value(tags.bitString, Buffer.of(unused, ...octets));
}

const spellings: readonly ((text: string) => { readonly tag: number; readonly content: Buffer })[] = [
  (text) => ({ tag: tags.utf8String, content: Buffer.from(text) }),
  (text) => ({ tag: tags.printableString, content: Buffer.from(text, 'latin1') }),
  (text) => ({ tag: tags.t61String, content: Buffer.from(text, 'latin1') }),
  (text) => ({ tag: tags.ia5String, content: Buffer.from(text, 'latin1') }),
  (text) => ({ tag: tags.numericString, content: Buffer.from(text, 'latin1') }),
  (text) => ({ tag: tags.bmpString, content: Buffer.from(text, 'utf16le').swap16() }),
  (text) => ({ tag: tags.universalString, content: Buffer.concat([...text].map(utf32)) }),
];

function utf32(character: string): Buffer {
  const octets = Buffer.alloc(4);
  octets.writeUInt32BE(character.codePointAt(0) ?? 0);
  return octets;
}
