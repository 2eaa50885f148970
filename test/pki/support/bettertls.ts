import { X509Certificate } from 'node:crypto';
import { zstdDecompressSync } from 'node:zlib';
import { pemOf } from '../../../src/pki/pem.ts';
import { trustAnchorsOf } from '../../../src/pki/trust-anchors.ts';
import { type Validation, validate } from '../../../src/pki/validate.ts';
import { publicVectors } from './vectors.ts';

/** A case of BetterTLS: base64 certificates, leaf first, and what a client has to do. */
export interface BetterTlsCase {
  readonly id: number;
  readonly certificates: readonly string[];
  /** PEM of the leaf's key. */
  readonly key: string;
  readonly hostname: string;
  readonly expected: 'ACCEPT' | 'REJECT';
  /** What is expected is advice, not RFC. */
  readonly failureIsWarning: boolean;
}

export interface BetterTls {
  readonly rootPem: string;
  /** A time at which all of it is valid. */
  readonly now: number;
  readonly suites: Readonly<
    Record<'nameconstraints' | 'pathbuilding', { readonly testCases: readonly BetterTlsCase[] }>
  >;
}

/** The suites; undefined where the vectors are absent. */
export function betterTls(): BetterTls | undefined {
  const file = publicVectors('bettertls.json.zst');
  if (file === undefined) return undefined;
  const { trustRoot, suites } = JSON.parse(zstdDecompressSync(file).toString());
  const root = Buffer.from(trustRoot, 'base64');
  return {
    rootPem: pemOf('CERTIFICATE', root),
    now: new X509Certificate(root).validFromDate.getTime() + 86_400_000,
    suites,
  };
}

/** Validates a case as the origin leg would. */
export function judgeBetterTls({ rootPem, now }: BetterTls, { certificates, hostname }: BetterTlsCase): Validation {
  return validate({
    chain: certificates.map((der) => new X509Certificate(Buffer.from(der, 'base64'))),
    roots: trustAnchorsOf([rootPem]),
    name: hostname,
    now,
    policy: { exceptions: [] },
  });
}
