import type { X509Certificate } from 'node:crypto';
import type { OriginException } from '../core/policy.ts';
import type { OriginIdentity } from '../core/tls.ts';
import { count } from '../metrics/counters.ts';
import type { OriginTrust } from '../pki/origin-trust.ts';
import { isNameError, isPathError } from '../pki/path-errors.ts';
import type { RevocationCheck } from '../pki/path-search.ts';
import { failureOfTlsError, type TlsFailure } from '../pki/tls-failure.ts';

/** Certificates of issuers that an origin did not send; none when they cannot be had. */
export type FetchIssuers = (addresses: readonly string[]) => Promise<readonly X509Certificate[]>;

/** The same in the share of one client: addresses of hostile origins cost others no more. */
export type FetchIssuersFor = (addresses: readonly string[], client: string) => Promise<readonly X509Certificate[]>;

export interface OriginEvidence {
  readonly peer: X509Certificate;
  /** Canonical host name or IP address that the certificate must cover. */
  readonly name: string;
  readonly trust: OriginTrust;
  readonly exceptions: OriginException['allow'];
  /** What OpenSSL's own verification of the chain says; undefined when it found nothing. */
  readonly opensslError: NodeJS.ErrnoException | undefined;
  /** It did verify the chain, in the handshake of this very session. */
  readonly verifiedByOpenssl?: boolean;
  /** Undefined where policy fetches nothing. */
  readonly fetchIssuers: FetchIssuers | undefined;
  /** Rules out certificates that are known to be revoked. */
  readonly revocation?: RevocationCheck;
}

export type Judgement =
  | { readonly kind: 'verified'; readonly identity: OriginIdentity; readonly path: readonly X509Certificate[] }
  | ({ readonly kind: 'failed' } & TlsFailure);

/** Times that missing issuers are fetched for one origin: each round brings the next one up. */
const rounds = 3;

/**
 * Decides who the origin of a session is. Our own validation must always find a path. OpenSSL must agree, unless its error
 * is one of the path that it chose and there was more than one to choose from, or about names that nobody reads.
 */
export async function judgeOrigin(evidence: OriginEvidence): Promise<Judgement> {
  const { exceptions, opensslError } = evidence;
  const verdict = await validateWithFetching(evidence);
  if (verdict.kind === 'failed') return { kind: 'failed', code: verdict.code, detail: verdict.detail };
  if (opensslError !== undefined && !exceptions.includes('untrusted')) {
    const isOfAnotherPath = verdict.branched && isPathError(opensslError);
    if (!isOfAnotherPath && !isNameError(opensslError)) return { kind: 'failed', ...failureOfTlsError(opensslError) };
    count('daylight_origin_paths_found_total');
  }
  return { kind: 'verified', identity: verdict.identity, path: verdict.path };
}

async function validateWithFetching(evidence: OriginEvidence) {
  const { peer, name, trust, exceptions, fetchIssuers, revocation, verifiedByOpenssl = false } = evidence;
  const fetched: X509Certificate[] = [];
  for (let round = 0; ; round++) {
    const verdict = trust.validate({ peer, name, now: Date.now(), exceptions, fetched, revocation, verifiedByOpenssl });
    if (verdict.kind === 'verified' || fetchIssuers === undefined || round >= rounds) return verdict;
    if (verdict.missingFrom.length === 0) return verdict;
    const further = await fetchIssuers(verdict.missingFrom);
    if (further.length === 0) return verdict;
    fetched.push(...further);
  }
}
