import { DerReader, type DerValue, readOid } from './der-reader.ts';
import { tags } from './der-tags.ts';
import { oids } from './oids.ts';

/** Short names of RFC 4514 section 3, plus the two that certificates carry often. */
const shortNames = new Map<string, string>([
  [oids.commonName, 'CN'],
  [oids.country, 'C'],
  [oids.locality, 'L'],
  [oids.state, 'ST'],
  [oids.organization, 'O'],
  [oids.organizationalUnit, 'OU'],
  [oids.domainComponent, 'DC'],
  [oids.emailAddress, 'emailAddress'],
  [oids.subjectSerialNumber, 'serialNumber'],
]);

/** Longest text of a name in a record: longer ones are hostile, and facts are cached. */
const longestText = 1_024;

/** Text of a distinguished name as RFC 4514 writes it: most specific first, specials and control characters escaped. */
export function distinguishedNameText(name: Buffer): string {
  const relativeNames: string[] = [];
  const reader = new DerReader(name).enter();
  while (!reader.atEnd) {
    const set = reader.enter(tags.set);
    const parts: string[] = [];
    while (!set.atEnd) parts.push(attributeText(set.enter()));
    relativeNames.unshift(parts.join('+'));
  }
  const text = relativeNames.join(',');
  return text.length <= longestText ? text : `${text.slice(0, longestText)}...`;
}

function attributeText(attribute: DerReader): string {
  const type = readOid(attribute.read(tags.oid).content);
  const value = attribute.read();
  const shortName = shortNames.get(type);
  const text = stringText(value);
  if (shortName === undefined || text === undefined) return `${shortName ?? type}=#${value.whole.toString('hex')}`;
  return `${shortName}=${escapeText(text)}`;
}

function stringText({ tag, content }: DerValue): string | undefined {
  switch (tag) {
    case tags.utf8String:
      return content.toString('utf8');
    case tags.printableString:
    case tags.ia5String:
    case tags.t61String:
      return content.toString('latin1');
    case tags.bmpString:
      return content.length % 2 === 0 ? Buffer.from(content).swap16().toString('utf16le') : undefined;
    default:
      return undefined;
  }
}

function escapeText(text: string): string {
  return (
    text
      .replace(/[\\",+;<>=]/g, '\\$&')
      .replace(/^[ #]| $/g, '\\$&')
      // Control characters would break lines in logs and terminals.
      .replace(/[\p{Cc}\u2028\u2029]/gu, (control) =>
        [...Buffer.from(control)].map((octet) => `\\${octet.toString(16).padStart(2, '0')}`).join(''),
      )
  );
}
