import type { X509Certificate } from 'node:crypto';
import { limits } from '../core/limits.ts';
import type { Certificate } from './certificate.ts';
import { type CertificateFault, invalid } from './certificate-fault.ts';
import type { ChainMember } from './chain-member.ts';
import { countedCas, issuerFault } from './issuer-rules.ts';
import { type OriginCertificate, originCertificateOf } from './origin-certificate.ts';
import { checkSignature, rememberedSignature } from './signature-check.ts';
import type { TrustAnchors } from './trust-anchors.ts';

/** Says of a certificate, with its issuer, why revocation refuses it; undefined when it does not. */
export type RevocationCheck = (certificate: Certificate, issuer: Certificate) => CertificateFault | undefined;

export interface PathQuestion {
  readonly leaf: X509Certificate;
  /** Certificates that nobody vouches for, in any order: sent by the origin or fetched. */
  readonly pool: readonly X509Certificate[];
  readonly anchors: TrustAnchors;
  /** Milliseconds since the epoch. */
  readonly now: number;
  readonly purpose?: string;
  readonly host?: string;
  /** CAs between leaf and root, those that issued themselves not counted. */
  readonly maxIntermediates?: number;
  readonly revocation?: RevocationCheck | undefined;
  /**
   * OpenSSL has verified a path from this leaf over this pool, all of it, to these anchors. Where every name on the way is
   * borne by one certificate alone, that was the only path there is, and its signatures are not checked again.
   */
  readonly verifiedByOpenssl?: boolean;
}

export type PathOutcome =
  | {
      readonly kind: 'found';
      /** Leaf first, the trusted certificate last. */
      readonly path: readonly X509Certificate[];
      /** There was more than one way to go, so that another search may have gone another. */
      readonly branched: boolean;
    }
  | {
      readonly kind: 'none';
      readonly fault: CertificateFault;
      /** Where issuers can be had of certificates for which none was at hand. */
      readonly missingFrom: readonly string[];
    };

/**
 * Searches for a path from a leaf to a trusted certificate (RFC 4158): depth first, every branch, each rule applied as
 * soon as an issuer is added. An issuer that fails costs its branch, not the search. Signatures and steps are bounded, for
 * an origin can send certificates that sign each other in circles.
 */
export function searchPath(question: PathQuestion): PathOutcome {
  const search = new Search(question);
  const path = search.upFrom(placeOf(question.leaf), search.onlyVerified);
  return path === undefined
    ? { kind: 'none', fault: search.fault, missingFrom: [...search.missingFrom] }
    : { kind: 'found', path: path.map(({ x509 }) => x509), branched: search.branched };
}

/** A certificate that can have a place in a path. */
interface Place {
  readonly x509: X509Certificate;
  readonly judged: OriginCertificate;
  readonly member: ChainMember;
}

class Search {
  readonly #question: PathQuestion;
  readonly #pool: readonly Place[];
  readonly missingFrom = new Set<string>();
  /** OpenSSL has verified some path, and knows of no certificate that we do not. */
  readonly onlyVerified: boolean;
  branched = false;
  #steps = 0;
  #signatures = 0;
  /** The first breach by a certificate that did sign what is below it. */
  #breach: CertificateFault | undefined;
  #wrongSignature = false;
  constructor(question: PathQuestion) {
    this.#question = question;
    const seen = new Set<string>();
    this.#pool = question.pool.flatMap((x509) => {
      const { fingerprint256 } = originCertificateOf(x509).facts;
      if (seen.has(fingerprint256)) return [];
      seen.add(fingerprint256);
      return placeOf(x509);
    });
    // What it alone can read may be on a path of which we know nothing.
    this.onlyVerified = (question.verifiedByOpenssl ?? false) && this.#pool.length === seen.size;
  }

  get fault(): CertificateFault {
    if (this.#exhausted) return invalid('more certificates that sign each other than are followed');
    if (this.#breach !== undefined) return this.#breach;
    if (this.#wrongSignature) return invalid('a signature of the chain is wrong');
    const { selfSigned } = originCertificateOf(this.#question.leaf).facts;
    return selfSigned
      ? { code: 'ORIGIN_CERT_SELF_SIGNED', detail: 'self-signed certificate' }
      : { code: 'ORIGIN_CERT_UNTRUSTED', detail: 'no chain to a trusted root: an intermediate may be missing' };
  }

  /** Completes a path that so far ends in the last place. `verified`: OpenSSL has come here too, having no other way. */
  upFrom(path: readonly Place[], verified: boolean): readonly Place[] | undefined {
    const top = path.at(-1);
    if (top === undefined) return undefined;
    const anchors = this.#question.anchors.named(top.member.issuer.key).flatMap(placeOf);
    const others = this.#pool.filter(({ member }) => member.subject.key === top.member.issuer.key);
    const isOnly = this.#note(top, anchors, others);
    // At a trusted certificate OpenSSL stops, and checks nothing above.
    const signed = verified && isOnly && !this.#isAnchor(top);
    for (const anchor of anchors) if (this.#issues(anchor, path, signed)) return [...path, anchor];
    const limit = this.#question.maxIntermediates ?? limits.chainIntermediates;
    for (const other of others) {
      if (countedCas(path.slice(1).map(({ member }) => member)) + (other.member.selfIssued ? 0 : 1) > limit) {
        this.#breach ??= invalid('the chain is too long');
        continue;
      }
      const found = this.#issues(other, path, signed) ? this.upFrom([...path, other], signed) : undefined;
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** Whether the search goes on from an issuer: it signed what is below, and breaks no rule there. */
  #issues(issuer: Place, path: readonly Place[], signed: boolean): boolean {
    const child = path.at(-1);
    if (child === undefined || this.#exhausted) return false;
    this.#steps += 1;
    if (!keyIdsFit(child.member, issuer.member) || path.some((place) => isSameAuthority(place.member, issuer.member))) {
      return false;
    }
    if (child.member.signatureFault !== undefined) {
      this.#breach ??= child.member.signatureFault;
      return false;
    }
    if (!this.#signed(child, issuer, signed)) return false;
    const { now, purpose, host, revocation } = this.#question;
    const below = path.map(({ member }) => member);
    const fault =
      issuerFault({ issuer: issuer.member, below, now, purpose, host }) ??
      revocation?.(child.member.certificate, issuer.member.certificate);
    this.#breach ??= fault;
    return fault === undefined;
  }

  /** `verified`: OpenSSL has verified a path that can only have led from the child to this issuer. */
  #signed(child: Place, issuer: Place, verified: boolean): boolean {
    // The weaker key is not worth the time: the rule that refuses it is told instead.
    if (issuer.member.fault !== undefined) {
      this.#breach ??= issuer.member.fault;
      return false;
    }
    const remembered = rememberedSignature(child.judged, issuer.judged) ?? (verified ? true : undefined);
    if (remembered === undefined) this.#signatures += 1;
    const good = remembered ?? checkSignature(child.x509, child.judged, issuer.judged);
    if (!good) this.#wrongSignature = true;
    return good;
  }

  /**
   * Notes whether another search could have gone elsewhere, and where a missing issuer is to be had. Whether one
   * certificate alone has the name of the issuer.
   */
  #note({ member }: Place, anchors: readonly Place[], others: readonly Place[]): boolean {
    const distinct = new Set([...anchors, ...others].map(({ judged }) => judged.facts.fingerprint256));
    if (distinct.size > 1) this.branched = true;
    const fitting = [...anchors, ...others].some((issuer) => keyIdsFit(member, issuer.member));
    if (!fitting && !member.selfIssued) for (const address of member.issuerAddresses) this.missingFrom.add(address);
    return distinct.size === 1;
  }

  #isAnchor({ judged, member }: Place): boolean {
    const { fingerprint256 } = judged.facts;
    const namesakes = this.#question.anchors.named(member.subject.key);
    return namesakes.some((x509) => originCertificateOf(x509).facts.fingerprint256 === fingerprint256);
  }

  get #exhausted(): boolean {
    return this.#steps >= limits.pathSteps || this.#signatures >= limits.pathSignatures;
  }
}

/** None for a certificate that cannot be read. */
function placeOf(x509: X509Certificate): readonly Place[] {
  const judged = originCertificateOf(x509);
  return judged.member === undefined ? [] : [{ x509, judged, member: judged.member }];
}

/** RFC 4158 section 3.5.12: key identifiers that differ rule an issuer out, where both are there. */
function keyIdsFit(child: ChainMember, issuer: ChainMember): boolean {
  return child.issuerKeyId === undefined || issuer.keyId === undefined || child.issuerKeyId === issuer.keyId;
}

/** The same name with the same key: to come to it again is to go in a circle. */
function isSameAuthority(one: ChainMember, other: ChainMember): boolean {
  return (
    one.subject.key === other.subject.key && one.certificate.publicKey.whole.equals(other.certificate.publicKey.whole)
  );
}
