import { type CertificateFault, invalid } from './certificate-fault.ts';
import type { ChainMember } from './chain-member.ts';
import { constraintFault } from './name-constraints.ts';
import { oids } from './oids.ts';

/** What the search knows when it asks whether a certificate may issue what is below it. */
export interface IssuerQuestion {
  readonly issuer: ChainMember;
  /** Everything below, leaf first. */
  readonly below: readonly ChainMember[];
  readonly now: number;
  /** Purpose that every CA which names purposes has to name; undefined asks for none. */
  readonly purpose: string | undefined;
  /** Host that the leaf is used for. */
  readonly host: string | undefined;
}

/** Why a certificate may not issue what is below it (RFC 5280 section 6.1.4); undefined when it may. Roots are asked too. */
export function issuerFault({ issuer, below, now, purpose, host }: IssuerQuestion): CertificateFault | undefined {
  return (
    issuer.fault ??
    issuer.issuerFault ??
    timeFault(issuer.certificate, now) ??
    pathLengthFault(issuer, below) ??
    purposeFault(issuer, purpose) ??
    issuer.distrust ??
    namesFault(issuer, below, host)
  );
}

/** Why a certificate is not valid now; undefined when it is. */
export function timeFault(
  { notBefore, notAfter }: { readonly notBefore: number; readonly notAfter: number },
  now: number,
): CertificateFault | undefined {
  if (now < notBefore) return { code: 'ORIGIN_CERT_NOT_YET_VALID', detail: `valid from ${iso(notBefore)}` };
  // notAfter names the last second that is valid (RFC 5280 section 4.1.2.5), and that second is valid to its end.
  if (now >= notAfter + 1_000) return { code: 'ORIGIN_CERT_EXPIRED', detail: `expired ${iso(notAfter)}` };
  return undefined;
}

/** CAs of a path that count for path lengths: those that issued themselves do not (RFC 5280 section 4.2.1.9). */
export function countedCas(issuers: readonly ChainMember[]): number {
  return issuers.reduce((sum, { selfIssued }) => sum + (selfIssued ? 0 : 1), 0);
}

function pathLengthFault({ pathLength }: ChainMember, below: readonly ChainMember[]): CertificateFault | undefined {
  if (pathLength === undefined || countedCas(below.slice(1)) <= pathLength) return undefined;
  return invalid('more CAs than a path length allows');
}

function purposeFault({ purposes }: ChainMember, purpose: string | undefined): CertificateFault | undefined {
  if (purpose === undefined || purposes === undefined) return undefined;
  if (purposes.has(purpose) || purposes.has(oids.anyExtendedKeyUsage)) return undefined;
  return { code: 'ORIGIN_CERT_PURPOSE', detail: 'a CA of the chain is not for servers' };
}

function namesFault(
  { constraints }: ChainMember,
  below: readonly ChainMember[],
  host: string | undefined,
): CertificateFault | undefined {
  if (constraints === undefined) return undefined;
  for (const [index, { names, selfIssued }] of below.entries()) {
    // Section 6.1.3 (b): a CA that issued itself anew is not constrained, the leaf always is.
    if (index > 0 && selfIssued) continue;
    const fault = constraintFault(constraints, names, index === 0 ? host : undefined);
    if (fault !== undefined) return invalid(fault);
  }
  return undefined;
}

function iso(ms: number): string {
  return new Date(ms).toISOString().replace('.000Z', 'Z');
}
