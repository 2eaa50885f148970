import type { X509Certificate } from 'node:crypto';
import { limits } from '../core/limits.ts';
import type { OriginException } from '../core/policy.ts';
import { BoundedCache } from './bounded-cache.ts';
import { originCertificateOf } from './origin-certificate.ts';
import type { RevocationCheck } from './path-search.ts';
import { type TrustAnchors, trustAnchorsOf } from './trust-anchors.ts';
import { type Validation, validate } from './validate.ts';

/** What is asked of the origin of one session. */
export interface OriginQuestion {
  /** The origin's certificate, with what it sent beside it behind `issuerCertificate`. */
  readonly peer: X509Certificate;
  readonly name: string;
  readonly now: number;
  readonly exceptions: OriginException['allow'];
  readonly fetched?: readonly X509Certificate[];
  readonly revocation?: RevocationCheck | undefined;
  /** OpenSSL has verified what the peer sent, with a context whose roots are those of this policy. */
  readonly verifiedByOpenssl?: boolean;
}

type Verified = Extract<Validation, { kind: 'verified' }>;

interface Remembered {
  readonly verdict: Verified;
  readonly fromMs: number;
  readonly untilMs: number;
}

/** Validates origins against the roots of one policy and remembers, for a bounded time, whom it has verified. */
export class OriginTrust {
  readonly #roots: TrustAnchors;
  readonly #own: TrustAnchors;
  readonly #verified = new BoundedCache<Remembered>(limits.verdictCacheEntries);

  /** `ownPem`: the gateway's own authorities, from which no origin is believed. */
  constructor(rootsPem: readonly string[], ownPem: readonly string[] = []) {
    this.#roots = trustAnchorsOf(rootsPem);
    this.#own = trustAnchorsOf(ownPem);
  }

  /**
   * Validates, or remembers. A certificate that was verified for a name is good for it with whatever was sent beside it:
   * the key of the session is the certificate's alone. Times and revocation are looked at anew each time.
   */
  validate({
    peer,
    name,
    now,
    exceptions,
    fetched = [],
    revocation,
    verifiedByOpenssl = false,
  }: OriginQuestion): Validation {
    const key = `${originCertificateOf(peer).facts.fingerprint256} ${exceptions.join()} ${name}`;
    const known = this.#verified.get(key);
    if (known !== undefined && known.fromMs <= now && now < known.untilMs && !isRevoked(known.verdict, revocation)) {
      return known.verdict;
    }
    const verdict = validate({
      chain: sentChain(peer),
      fetched,
      roots: this.#roots,
      own: this.#own,
      name,
      now,
      policy: { exceptions },
      revocation,
      verifiedByOpenssl,
    });
    if (verdict.kind === 'verified') {
      this.#verified.set(key, { verdict, fromMs: now, untilMs: Math.min(now + limits.verdictMs, endOf(verdict)) }, 1);
    }
    return verdict;
  }
}

/** What the origin sent, in its order: Node hangs one after the other, related or not. */
function sentChain(peer: X509Certificate): readonly X509Certificate[] {
  const chain = [peer];
  for (let next = peer.issuerCertificate; next !== undefined; next = next.issuerCertificate) {
    chain.push(next);
    // One more than is looked at tells that there were too many.
    if (chain.length > limits.chainCertificates) break;
  }
  return chain;
}

function endOf({ path }: Verified): number {
  return Math.min(...path.map((x509) => originCertificateOf(x509).facts.notAfter + 1_000));
}

function isRevoked({ path }: Verified, revocation: RevocationCheck | undefined): boolean {
  if (revocation === undefined) return false;
  const members = path.map((x509) => originCertificateOf(x509).member?.certificate);
  return members.some((certificate, index) => {
    const issuer = members[index + 1];
    return certificate !== undefined && issuer !== undefined && revocation(certificate, issuer) !== undefined;
  });
}
