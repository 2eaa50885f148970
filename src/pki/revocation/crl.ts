import { type Extension, readAlgorithm, readExtensionList } from '../certificate.ts';
import { DerError, DerReader, readInteger, readOctetBits, readSmallInteger, readTime } from '../der-reader.ts';
import { contextConstructed, tags } from '../der-tags.ts';
import { oids } from '../oids.ts';
import { type CrlScope, crlScopeOf } from './crl-scope.ts';
import type { SignedObject } from './signed-object.ts';

/** A CRL taken apart (RFC 5280 section 5.1), its entries unread. Buffers are views into its DER. */
export interface Crl extends SignedObject {
  readonly der: Buffer;
  readonly issuer: Buffer;
  readonly thisUpdateMs: number;
  /** Undefined in CRLs that RFC 5280 does not allow any more. */
  readonly nextUpdateMs: number | undefined;
  /** Content of revokedCertificates: one entry after another. */
  readonly entries: Buffer;
  readonly scope: CrlScope;
  /** Why nothing can be concluded from it, whoever signed it; undefined when something can. */
  readonly fault: string | undefined;
}

/** Takes a CRL apart in a time that does not depend on its entries. Throws DerError when it is not strict DER. */
export function parseCrl(der: Buffer): Crl {
  const outer = new DerReader(der);
  const list = outer.enter();
  outer.end();
  const signed = list.read(tags.sequence);
  const outerAlgorithm = list.read(tags.sequence);
  const signature = readOctetBits(list.read(tags.bitString).content);
  list.end();
  const body = new DerReader(signed.content);
  const version = body.optional(tags.integer);
  if (version !== undefined && readSmallInteger(version.content) !== 1) throw new DerError('CRL version');
  const algorithm = body.read(tags.sequence);
  // Section 5.1.1.2: both must be the same, or what was signed is not what is checked.
  if (!algorithm.whole.equals(outerAlgorithm.whole)) throw new DerError('two different signature algorithms');
  const issuer = body.read(tags.sequence).whole;
  const thisUpdateMs = readTime(body.read());
  const nextUpdateMs = hasTime(body) ? readTime(body.read()) : undefined;
  const entries = body.optional(tags.sequence)?.content ?? Buffer.alloc(0);
  const extensions = readCrlExtensions(body);
  body.end();
  return {
    der,
    signed: signed.whole,
    algorithm: readAlgorithm(new DerReader(algorithm.content)),
    signature,
    issuer,
    thisUpdateMs,
    nextUpdateMs,
    entries,
    scope: crlScopeOf(extensions),
    fault: faultOf(version !== undefined, extensions),
  };
}

function hasTime(body: DerReader): boolean {
  return body.nextTag === tags.utcTime || body.nextTag === tags.generalizedTime;
}

function readCrlExtensions(body: DerReader): ReadonlyMap<string, Extension> {
  const wrapper = body.optional(contextConstructed(0));
  if (wrapper === undefined) return new Map();
  const outer = new DerReader(wrapper.content);
  const list = outer.enter();
  outer.end();
  return readExtensionList(list);
}

/** Section 5.2: what is critical must be understood, and a delta says nothing alone. */
function faultOf(isVersion2: boolean, extensions: ReadonlyMap<string, Extension>): string | undefined {
  if (!isVersion2) return 'CRL of version 1';
  if (extensions.has(oids.deltaCrlIndicator)) return 'delta CRL';
  for (const [oid, { critical }] of extensions) {
    if (critical && oid !== oids.issuingDistributionPoint && oid !== oids.authorityKeyIdentifier) {
      return oid === oids.crlNumber ? 'CRL number that is critical' : 'CRL with an unknown critical extension';
    }
  }
  return numberFault(extensions.get(oids.crlNumber));
}

/** Section 5.2.3: a number that does not sink, of at most 20 octets. */
function numberFault(extension: Extension | undefined): string | undefined {
  if (extension === undefined) return 'CRL without a number';
  const reader = new DerReader(extension.value);
  const octets = readInteger(reader.read(tags.integer).content);
  reader.end();
  return octets.length > 20 || (octets[0] ?? 0) >= 0x80 ? 'CRL number out of range' : undefined;
}
