import type { Certificate, Extension } from '../certificate.ts';
import { DerError, DerReader, readBoolean } from '../der-reader.ts';
import { contextConstructed, contextPrimitive, tags } from '../der-tags.ts';
import { explicit, sequence, value } from '../der-writer.ts';
import { basicConstraintsOf } from '../extensions.ts';
import { oids } from '../oids.ts';
import { distributionPointsOf, type PointName, readPointName } from './distribution-points.ts';

/** Which certificates a CRL speaks of: issuingDistributionPoint (RFC 5280 section 5.2.5). */
export interface CrlScope {
  /** The point that it is for; undefined for all certificates of its issuer. */
  readonly point: PointName | undefined;
  readonly only: 'user' | 'ca' | 'attribute' | undefined;
  /** It leaves out certificates that were revoked for other reasons. */
  readonly someReasons: boolean;
  /** It lists certificates of other issuers too. */
  readonly indirect: boolean;
}

const wholeScope: CrlScope = { point: undefined, only: undefined, someReasons: false, indirect: false };

/** Reads the scope of a CRL from its extensions. */
export function crlScopeOf(extensions: ReadonlyMap<string, Extension>): CrlScope {
  const extension = extensions.get(oids.issuingDistributionPoint);
  if (extension === undefined) return wholeScope;
  const outer = new DerReader(extension.value);
  const reader = outer.enter();
  outer.end();
  const point = reader.optional(contextConstructed(0));
  const user = flag(reader, 1);
  const ca = flag(reader, 2);
  const reasons = reader.optional(contextPrimitive(3));
  const indirect = flag(reader, 4);
  const attribute = flag(reader, 5);
  reader.end();
  if (Number(user) + Number(ca) + Number(attribute) > 1) throw new DerError('CRL for nothing');
  return {
    point: point === undefined ? undefined : readPointName(new DerReader(point.content)),
    only: user ? 'user' : ca ? 'ca' : attribute ? 'attribute' : undefined,
    someReasons: reasons !== undefined,
    indirect,
  };
}

/** Why a CRL of this scope says nothing of a certificate (section 6.3.3 step b); undefined when it does. */
export function scopeFault(scope: CrlScope, certificate: Certificate): string | undefined {
  if (scope.indirect) return 'indirect CRL';
  const isCa = basicConstraintsOf(certificate.extensions).ca;
  if (scope.only === 'attribute' || (scope.only !== undefined && (scope.only === 'ca') !== isCa)) {
    return 'CRL for other kinds of certificate';
  }
  return scope.point === undefined || isPointOf(scope.point, certificate)
    ? undefined
    : 'CRL for another distribution point';
}

/** A certificate without points of its own is taken to name its issuer (section 6.3.3, last paragraph). */
function isPointOf(point: PointName, certificate: Certificate): boolean {
  const points = distributionPointsOf(certificate);
  const names = points.length === 0 ? [directoryName(certificate.issuer)] : points.flatMap(fullNames(certificate));
  const own = fullNames(certificate)({ name: point });
  return own.some((name) => names.some((other) => other.equals(name)));
}

function fullNames({ issuer }: Certificate) {
  return ({ name }: { readonly name: PointName | undefined }): readonly Buffer[] => {
    if (name === undefined) return [];
    return name.kind === 'full' ? name.names : [relativeName(issuer, name.part)];
  };
}

/** The whole name that a part of it, under the issuer's, stands for. */
function relativeName(issuer: Buffer, part: Buffer): Buffer {
  return directoryName(sequence(new DerReader(issuer).read().content, value(tags.set, part)));
}

/** GeneralName directoryName. */
function directoryName(name: Buffer): Buffer {
  return explicit(4, name);
}

function flag(reader: DerReader, number: number): boolean {
  const value = reader.optional(contextPrimitive(number));
  return value !== undefined && readBoolean(value.content);
}
