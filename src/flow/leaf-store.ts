import { createHash, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto';
import { createSecureContext, type SecureContext, type SecureContextOptions } from 'node:tls';
import { type FailureCode, FlowFailure } from '../core/failures.ts';
import type { IssuedLeaf, LeafRequest } from '../core/ipc.ts';
import { limits } from '../core/limits.ts';
import type { TlsPolicy } from '../core/policy.ts';
import type { CertificateFacts, LeafKeyType, OriginIdentity, SubjectName } from '../core/tls.ts';
import { count } from '../metrics/counters.ts';
import { FairShares } from '../net/fair-shares.ts';
import { certificateFactsOf } from '../pki/certificate-facts.ts';
import { clientTlsOptions } from '../pki/tls-options.ts';
import { coveringName } from './certificate-names.ts';
import type { OwnCertificate } from './policy-snapshot.ts';
import { SessionIds } from './session-ids.ts';

/** What a client leg is opened with. */
export interface LeafContext {
  readonly context: SecureContext;
  readonly certificate: CertificateFacts;
  /** The same for a client that would leave tickets of TLS 1.3 unread: without TLS 1.3, where policy allows that. */
  withoutTickets(): SecureContext;
  /** The same leaf with sessions of its own: what resumes one of them belongs to the connection that it was made for. */
  bound(): LeafContext;
  /** Sessions by id, of a bound one. */
  readonly sessions?: SessionIds;
}

/**
 * Why a client leg may be opened. A trusted leaf needs the branded identity that only the origin check makes; without
 * one there is just the untrusted authority, whose leaf no client accepts silently.
 */
export type LeafReason =
  /** `alpn` is what the client will be answered: sessions of one protocol are never resumed as another. */
  | { readonly kind: 'verified'; readonly identity: OriginIdentity; readonly alpn?: string | undefined }
  | { readonly kind: 'untrusted'; readonly name: string; readonly code: FailureCode };

/** Asks control to sign; rejects with FlowFailure GATEWAY_LEAF_FAILED or GATEWAY_LEAF_TIMEOUT. */
export type RequestLeaf = (request: LeafRequest) => Promise<IssuedLeaf>;

/** Leafs of one relay: its two leaf keys, and a bounded cache of ready TLS contexts. */
export class LeafStore {
  readonly #requestLeaf: RequestLeaf;
  readonly #keys = new Map<LeafKeyType, { readonly pem: string; readonly publicKey: Buffer }>();
  readonly #ready = new Map<string, LeafContext & { readonly notAfter: number }>();
  readonly #pending = new Map<string, Promise<LeafContext>>();
  readonly #shares = new FairShares(limits.leafPending);
  #ticketKeys: Buffer;
  /** Authorities seen so far. */
  #authorities = 1;

  constructor(requestLeaf: RequestLeaf, ticketKeys: Uint8Array) {
    this.#requestLeaf = requestLeaf;
    this.#ticketKeys = Buffer.from(ticketKeys);
  }

  /** Replaces the ticket keys. Contexts made before keep theirs, so they are dropped with their leafs' cache entries. */
  set ticketKeys(keys: Uint8Array) {
    this.#ticketKeys = Buffer.from(keys);
    this.#ready.clear();
  }

  /** Forgets every leaf: the authority has changed. */
  clear(): void {
    this.#ready.clear();
    // What is on its way was asked of the old one: it serves those who wait for it, and nobody after them.
    this.#pending.clear();
    this.#authorities += 1;
  }

  get size(): number {
    return this.#ready.size;
  }

  /** The context for a client leg: cached, or minted once for all flows that wait for the same one, in the share of the first client. */
  async contextFor(
    reason: LeafReason,
    keyType: LeafKeyType,
    policy: TlsPolicy['client'],
    client: string,
  ): Promise<LeafContext> {
    const key = cacheKey(reason, keyType, policy);
    const ready = this.#ready.get(key);
    if (ready !== undefined && ready.notAfter > Date.now()) {
      count('daylight_leaf_cache_total{result="hit"}');
      this.#ready.delete(key);
      this.#ready.set(key, ready);
      return ready;
    }
    const pending = this.#pending.get(key);
    if (pending !== undefined) return pending;
    if (!this.#shares.take(client)) throw new FlowFailure('GATEWAY_OVERLOADED', 'leafs being issued');
    count('daylight_leaf_cache_total{result="miss"}');
    const minting = this.#mint(key, reason, keyType, policy).finally(() => {
      this.#shares.give(client);
      if (this.#pending.get(key) === minting) this.#pending.delete(key);
    });
    this.#pending.set(key, minting);
    return minting;
  }

  /** The context of a published endpoint with its own certificate: never of our authority. */
  ownContext(own: OwnCertificate, policy: TlsPolicy['client'], alpn?: string): LeafContext {
    const key = `own ${createHash('sha256').update(own.cert).digest('hex')} ${alpn ?? ''} ${policyKey(policy)}`;
    const ready = this.#ready.get(key);
    if (ready !== undefined) return ready;
    const made = this.#context(key, { cert: own.cert, key: own.key }, certificateFactsOf(own.cert), policy);
    this.#remember(key, made, Number.POSITIVE_INFINITY);
    return made;
  }

  async #mint(
    key: string,
    reason: LeafReason,
    keyType: LeafKeyType,
    policy: TlsPolicy['client'],
  ): Promise<LeafContext> {
    const leafKey = this.#key(keyType);
    const asked = this.#authorities;
    const content = leafContent(reason);
    const leaf = await this.#requestLeaf({ publicKey: leafKey.publicKey, keyType, ...content });
    // Told by control, and the names are the origin's own list: leafs of a certificate with hundreds of names share one.
    const facts = { ...leaf.facts, names: leaf.facts.names ?? content.names };
    const made = this.#context(key, { cert: leaf.chainPem, key: leafKey.pem }, facts, policy);
    if (asked === this.#authorities) this.#remember(key, made, facts.notAfter);
    return made;
  }

  #remember(key: string, made: LeafContext, notAfter: number): void {
    this.#ready.set(key, { ...made, notAfter });
    if (this.#ready.size <= limits.leafCacheEntries) return;
    const oldest = this.#ready.keys().next();
    if (!oldest.done) this.#ready.delete(oldest.value);
  }

  #context(
    key: string,
    credentials: OwnCertificate,
    certificate: CertificateFacts,
    policy: TlsPolicy['client'],
  ): LeafContext {
    return contextOf(certificate, policy.minVersion === 'TLSv1.3', {
      ...clientTlsOptions(policy),
      ...credentials,
      ticketKeys: this.#ticketKeys,
      // Tickets are readable by every relay; the id context keeps a ticket for one origin from resuming at another.
      sessionIdContext: createHash('sha256').update(key).digest('hex').slice(0, 32),
    });
  }

  #key(keyType: LeafKeyType): { readonly pem: string; readonly publicKey: Buffer } {
    const present = this.#keys.get(keyType);
    if (present !== undefined) return present;
    const { privateKey, publicKey } =
      keyType === 'ec'
        ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
        : generateKeyPairSync('rsa', { modulusLength: 2048 });
    const made = { pem: pemOf(privateKey), publicKey: publicKey.export({ type: 'spki', format: 'der' }) };
    this.#keys.set(keyType, made);
    return made;
  }
}

function contextOf(
  certificate: CertificateFacts,
  isNewestOnly: boolean,
  options: SecureContextOptions,
  sessions?: SessionIds,
): LeafContext {
  const context = createSecureContext(options);
  let older: SecureContext | undefined = isNewestOnly ? context : undefined;
  return {
    context,
    certificate,
    ...(sessions === undefined ? {} : { sessions }),
    withoutTickets() {
      older ??= createSecureContext({ ...options, maxVersion: 'TLSv1.2' });
      return older;
    },
    bound() {
      const own = {
        ticketKeys: randomBytes(48),
        sessionIdContext: randomBytes(16).toString('hex'),
        sessionTimeout: boundSessionSeconds,
      };
      return contextOf(certificate, isNewestOnly, { ...options, ...own }, new SessionIds());
    },
  };
}

/** Sessions of files may last a day, and their last transfer resumes the session of their first second. */
const boundSessionSeconds = 86_400;

function pemOf(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString();
}

function policyKey(policy: TlsPolicy['client']): string {
  return `${policy.minVersion} ${policy.keyExchange.join('+')}`;
}

/**
 * What a leaf is made for: names below one wildcard of a certificate share a leaf, or each host that somebody thinks up
 * below it would push another leaf out of the cache.
 */
function leafNameOf({ certificate, name }: OriginIdentity): string {
  return coveringName(certificate, name) ?? name;
}

function cacheKey(reason: LeafReason, keyType: LeafKeyType, policy: TlsPolicy['client']): string {
  const subject =
    reason.kind === 'verified'
      ? `verified ${reason.identity.certificate.fingerprint256} ${reason.identity.certificate.names.length} ${leafNameOf(reason.identity)} ${reason.alpn ?? ''}`
      : `untrusted ${reason.name}`;
  return `${subject} ${keyType} ${policyKey(policy)}`;
}

type LeafContent = Omit<LeafRequest, 'publicKey' | 'keyType'>;

function leafContent(reason: LeafReason): LeafContent {
  if (reason.kind === 'verified') {
    const { name, certificate } = reason.identity;
    return {
      names: certificate.names,
      name,
      originNotAfter: certificate.notAfter,
      originFingerprint: certificate.fingerprint256,
      untrusted: false,
    };
  }
  const { name } = reason;
  const names: SubjectName[] = [{ kind: /^[0-9.]+$|:/.test(name) ? 'ip' : 'dns', value: name }];
  return { names, name, originNotAfter: Number.MAX_SAFE_INTEGER, originFingerprint: '', untrusted: true };
}
