import type { X509Certificate } from 'node:crypto';
import { limits } from '../core/limits.ts';
import type { RevocationOutcome } from '../core/record.ts';
import type { RevocationMode } from '../core/revocation.ts';
import type { OriginIdentity } from '../core/tls.ts';
import { count } from '../metrics/counters.ts';
import type { Certificate } from '../pki/certificate.ts';
import { originCertificateOf } from '../pki/origin-certificate.ts';
import { type FetchIssuers, judgeOrigin } from './judge-origin.ts';
import type { JudgedLeg } from './origin-leg.ts';
import { type AskingTerms, type PathRevocation, revocationOf } from './origin-revocation.ts';

/** A verified origin as its leg knows it. */
type ShownOrigin = Pick<JudgedLeg, 'identity' | 'path' | 'staple' | 'evidence'>;

/** `timeoutMs` is for all paths together. */
export interface RevocationTerms extends AskingTerms {
  readonly mode: RevocationMode;
}

export type UnrevokedPath =
  | {
      readonly kind: 'found';
      readonly identity: OriginIdentity;
      readonly path: readonly X509Certificate[];
      readonly outcome: RevocationOutcome;
    }
  | { readonly kind: 'none'; readonly outcome: RevocationOutcome };

/**
 * A path of a verified origin on which revocation refuses nothing. A CA that is revoked costs the paths over it, not the
 * origin: cross-signed certificates lead elsewhere. Its own certificate has one issuer, so that nothing helps when that is
 * revoked. When no path is left, the outcome is that of the first.
 */
export async function unrevokedPathOf(leg: ShownOrigin, terms: RevocationTerms): Promise<UnrevokedPath> {
  const { mode, timeoutMs } = terms;
  const deadlineMs = Date.now() + timeoutMs;
  const { staple, evidence } = leg;
  const ruledOut = new Set<string>();
  let { path, identity } = leg;
  let refusal: RevocationOutcome | undefined;
  for (let tried = 1; ; tried++) {
    const leftMs = Math.max(deadlineMs - Date.now(), 0);
    const revocation = await revocationOf({ path, staple }, { ...terms, timeoutMs: leftMs });
    if (!isRefused(revocation.outcome, mode)) {
      if (refusal !== undefined) count('daylight_origin_paths_avoided_total');
      return { kind: 'found', identity, path, outcome: withRefusal(revocation.outcome, refusal) };
    }
    refusal ??= revocation.outcome;
    const culprits = refusedCas(path, revocation, mode);
    if (culprits.length === 0 || tried >= limits.revocationPaths || Date.now() >= deadlineMs) break;
    for (const culprit of culprits) ruledOut.add(culprit);
    const judgement = await judgeOrigin({
      ...evidence,
      fetchIssuers: evidence.fetchIssuers && untilDeadline(evidence.fetchIssuers, deadlineMs),
      revocation: (certificate, issuer) =>
        ruledOut.has(placeOf(certificate, issuer))
          ? { code: 'ORIGIN_CERT_REVOKED', detail: 'an issuer is revoked' }
          : undefined,
    });
    if (judgement.kind === 'failed') break;
    ({ path, identity } = judgement);
  }
  return { kind: 'none', outcome: refusal };
}

/** A promise to staple that is not kept is no failure to ask, so that it is never let through. */
function isRefused({ status, source }: RevocationOutcome, mode: RevocationMode): boolean {
  return status === 'revoked' || (status === 'unknown' && (mode === 'hard-fail' || source === 'staple'));
}

/** CAs of a path that revocation refuses; none when it refuses the leaf, which another path would end in too. */
function refusedCas(
  path: readonly X509Certificate[],
  { statuses }: PathRevocation,
  mode: RevocationMode,
): readonly string[] {
  const refused = (status: string | undefined): boolean =>
    status === 'revoked' || (status === 'unknown' && mode === 'hard-fail');
  if (refused(statuses[0])) return [];
  return path.slice(0, -1).flatMap((x509, index) => {
    const certificate = originCertificateOf(x509).member?.certificate;
    const issuer = path[index + 1];
    const above = issuer && originCertificateOf(issuer).member?.certificate;
    if (!refused(statuses[index]) || certificate === undefined || above === undefined) return [];
    return [placeOf(certificate, above)];
  });
}

/** What a revocation is about: a serial number of an issuer, which is a name with a key (RFC 5280 section 5). */
function placeOf({ issuer, serialNumber }: Certificate, { publicKey }: Certificate): string {
  return `${serialNumber} ${issuer.toString('base64')} ${publicKey.whole.toString('base64')}`;
}

function withRefusal(outcome: RevocationOutcome, refusal: RevocationOutcome | undefined): RevocationOutcome {
  if (refusal === undefined) return outcome;
  const { detail } = outcome;
  return { ...outcome, detail: `${detail === '' ? '' : `${detail}; `}another path was taken: ${refusal.detail}` };
}

/** Once the time is over, nothing more is fetched and nothing more is waited for. */
function untilDeadline(fetchIssuers: FetchIssuers, deadlineMs: number): FetchIssuers {
  return async (addresses) => {
    const over = Promise.withResolvers<readonly X509Certificate[]>();
    const timer = setTimeout(() => over.resolve([]), Math.max(deadlineMs - Date.now(), 0));
    try {
      return await Promise.race([fetchIssuers(addresses), over.promise]);
    } finally {
      clearTimeout(timer);
    }
  };
}
