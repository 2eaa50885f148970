import type { Certificate } from '../certificate.ts';
import { DerError, DerReader } from '../der-reader.ts';
import { contextConstructed } from '../der-tags.ts';
import { oids } from '../oids.ts';

/** DistributionPointName (RFC 5280 section 4.2.1.13): whole GeneralNames, or one part under the name of the CRL's issuer. */
export type PointName =
  | { readonly kind: 'full'; readonly names: readonly Buffer[] }
  | { readonly kind: 'relative'; readonly part: Buffer };

interface DistributionPoint {
  readonly name: PointName | undefined;
}

/** Points of a certificate whose CRLs its own issuer signs. Those of other issuers (indirect CRLs) are left out. */
export function distributionPointsOf({ extensions }: Certificate): readonly DistributionPoint[] {
  const extension = extensions.get(oids.crlDistributionPoints);
  if (extension === undefined) return [];
  const outer = new DerReader(extension.value);
  const list = outer.enter();
  outer.end();
  const points: DistributionPoint[] = [];
  while (!list.atEnd) {
    const point = list.enter();
    const name = point.optional(contextConstructed(0));
    const reasons = point.optional(0x81);
    const issuer = point.optional(contextConstructed(2));
    point.end();
    if (issuer !== undefined || reasons !== undefined) continue;
    points.push({ name: name === undefined ? undefined : readPointName(new DerReader(name.content)) });
  }
  return points;
}

/** Reads a DistributionPointName. */
export function readPointName(reader: DerReader): PointName {
  const { tag, content } = reader.read();
  reader.end();
  if (tag === contextConstructed(1)) return { kind: 'relative', part: content };
  if (tag !== contextConstructed(0)) throw new DerError('not a name of a distribution point');
  const list = new DerReader(content);
  const names: Buffer[] = [];
  while (!list.atEnd) names.push(list.read().whole);
  return { kind: 'full', names };
}
