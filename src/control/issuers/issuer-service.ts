import { limits } from '../../core/limits.ts';
import type { Exposition } from '../../metrics/exposition.ts';
import { FairShares } from '../../net/fair-shares.ts';
import { BoundedCache } from '../../pki/bounded-cache.ts';
import { AskedOnce } from '../revocation/asked-once.ts';
import { Fetcher } from '../revocation/fetcher.ts';
import type { RevocationSettings } from '../revocation/revocation-settings.ts';
import { issuerCertificates } from './issuer-certificates.ts';

interface Known {
  readonly certificates: readonly Buffer[];
  readonly untilMs: number;
}

/**
 * Fetches for relays the certificates of issuers that origins did not send, from the addresses in those that they did
 * (authorityInfoAccess). A stranger has named these addresses: only http to public ones is asked, each once for all
 * relays, and what comes back is believed by nobody before a path over it holds.
 */
export class IssuerService {
  readonly #metrics: Exposition;
  readonly #known = new BoundedCache<Known>(limits.issuerCacheBytes);
  readonly #pending = new AskedOnce<Known>();
  readonly #shares = new FairShares(limits.issuerFetches);
  #settings: RevocationSettings;
  #fetcher: Fetcher;

  constructor(settings: RevocationSettings, metrics: Exposition) {
    this.#metrics = metrics;
    this.#settings = settings;
    this.#fetcher = new Fetcher(settings);
  }

  /** Asks by other settings from now on. */
  replace(settings: RevocationSettings): void {
    if (JSON.stringify(settings) === JSON.stringify(this.#settings)) return;
    const before = this.#fetcher;
    this.#settings = settings;
    this.#fetcher = new Fetcher(settings);
    this.#known.clear();
    void before.close();
  }

  /** What the addresses hold, in DER; nothing where they hold nothing, or its client has its share of fetches. Never rejects. */
  async find(addresses: readonly string[], client: string): Promise<readonly Uint8Array[]> {
    const asked = addresses.slice(0, limits.issuerAddresses);
    const found = await Promise.all(asked.map((address) => this.#at(address, client)));
    return found.flatMap(({ certificates }) => certificates);
  }

  async close(): Promise<void> {
    await this.#fetcher.close();
  }

  async #at(address: string, client: string): Promise<Known> {
    const known = this.#known.get(address);
    if (known !== undefined && known.untilMs > Date.now()) return known;
    if (!isFetchable(address)) return nothing;
    return (await this.#pending.ask(address, client, () => this.#inShare(address, client))) ?? nothing;
  }

  /** Undefined where the client has its share of fetches. */
  async #inShare(address: string, client: string): Promise<Known | undefined> {
    if (!this.#shares.take(client)) return undefined;
    try {
      return await this.#fetch(address, client);
    } finally {
      this.#shares.give(client);
    }
  }

  async #fetch(address: string, client: string): Promise<Known | undefined> {
    const fetched = await this.#fetcher.fetch({ url: address, maximumBytes: limits.issuerBytes, client });
    if (fetched.kind === 'crowded') return undefined;
    const certificates = fetched.kind === 'ok' ? issuerCertificates(fetched.body) : [];
    const outcome = fetched.kind === 'ok' && certificates.length === 0 ? 'useless' : fetched.kind;
    this.#metrics.add({ [`daylight_issuer_fetches_total{outcome="${outcome}"}`]: 1 });
    const found: Known = {
      certificates,
      untilMs: Date.now() + (certificates.length > 0 ? limits.issuerMs : limits.issuerRetryMs),
    };
    // An address that gave nothing weighs what remembering it costs.
    const weight = certificates.reduce((sum, { length }) => sum + length, address.length + 256);
    this.#known.set(address, found, weight);
    return found;
  }
}

const nothing: Known = { certificates: [], untilMs: 0 };

function isFetchable(address: string): boolean {
  return address.length <= 1_024 && URL.canParse(address) && new URL(address).protocol === 'http:';
}
