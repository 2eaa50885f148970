import { createHash } from 'node:crypto';
import { limits } from '../../core/limits.ts';
import type { IssuedPair, RevocationFinding } from '../../core/revocation.ts';
import type { Exposition } from '../../metrics/exposition.ts';
import { FairShares } from '../../net/fair-shares.ts';
import { BoundedCache } from '../../pki/bounded-cache.ts';
import { type Certificate, parseCertificate } from '../../pki/certificate.ts';
import { basicConstraintsOf } from '../../pki/extensions.ts';
import { findingOf, unknownFinding } from '../../pki/revocation/revocation-finding.ts';
import { revocationPointersOf } from '../../pki/revocation/revocation-pointers.ts';
import { AnswerFiles } from './answer-files.ts';
import { AskedOnce } from './asked-once.ts';
import { CrlSource } from './crl-source.ts';
import { type Dated, untilOf } from './dated-status.ts';
import { Fetcher } from './fetcher.ts';
import { OcspSource } from './ocsp-source.ts';
import { politeFetch } from './polite-fetch.ts';
import type { RevocationSettings } from './revocation-settings.ts';

/** Whom it asks, remade when settings change. */
interface Sources {
  readonly fetcher: Fetcher;
  readonly crls: CrlSource;
  readonly ocsp: OcspSource;
}

/**
 * Finds out for relays whether certificates are revoked. Relays have verified them: nothing is fetched that a stranger
 * alone has named. What is found is kept for all relays, in memory and on disk.
 */
export class RevocationService {
  readonly #metrics: Exposition;
  readonly #findings = new BoundedCache<RevocationFinding>(limits.revocationAnswers);
  /** One question at a time for each certificate. */
  readonly #pending = new AskedOnce<RevocationFinding>();
  readonly #shares = new FairShares(limits.revocationPending);
  #settings: RevocationSettings;
  #sources: Sources;

  constructor(settings: RevocationSettings, metrics: Exposition) {
    this.#metrics = metrics;
    this.#settings = settings;
    this.#sources = this.#open(settings);
  }

  /** Asks by other settings from now on. */
  replace(settings: RevocationSettings): void {
    if (JSON.stringify(settings) === JSON.stringify(this.#settings)) return;
    const before = this.#sources;
    this.#settings = settings;
    this.#sources = this.#open(settings);
    this.#findings.clear();
    void before.fetcher.close();
  }

  /** One finding for each pair, in order, in the share of a client. Never rejects. */
  check(pairs: readonly IssuedPair[], client: string): Promise<readonly RevocationFinding[]> {
    return Promise.all(pairs.slice(0, limits.chainCertificates).map((pair) => this.#find(pair, client)));
  }

  async close(): Promise<void> {
    await this.#sources.fetcher.close();
  }

  #open(settings: RevocationSettings): Sources {
    const fetcher = new Fetcher(settings);
    const files = new AnswerFiles(settings.directory);
    const ask = politeFetch(fetcher, (series) => this.#metrics.add({ [series]: 1 }));
    return { fetcher, crls: new CrlSource(files, ask), ocsp: new OcspSource(files, ask) };
  }

  async #find(pair: IssuedPair, client: string): Promise<RevocationFinding> {
    const name = createHash('sha256').update(pair.issuer).update(pair.certificate).digest('hex');
    const known = this.#findings.get(name);
    if (known !== undefined && known.untilMs > Date.now()) return known;
    const finding = await this.#pending.ask(name, client, () => this.#inShare(name, pair, client));
    if (finding === undefined) return unknownFinding('too many questions under way', 0);
    this.#findings.set(name, finding, 1);
    return finding;
  }

  /** Undefined where the client has its share of all questions or fetches. */
  async #inShare(name: string, pair: IssuedPair, client: string): Promise<RevocationFinding | undefined> {
    if (!this.#shares.take(client)) return undefined;
    try {
      return await this.#ask(name, pair, client);
    } catch {
      return unknownFinding('certificate malformed', Date.now() + limits.revocationRetryMs);
    } finally {
      this.#shares.give(client);
    }
  }

  /** A responder knows about a leaf sooner; the CRL of a CA's CA is small and shared. */
  async #ask(name: string, pair: IssuedPair, client: string): Promise<RevocationFinding | undefined> {
    const certificate = parseCertificate(pair.certificate);
    const issuer = parseCertificate(pair.issuer);
    const { responders, crls } = revocationPointersOf(certificate);
    const { crls: crlSource, ocsp } = this.#sources;
    const byOcsp = responders.map(
      (url) => async () => found('ocsp', await ocsp.statusOf({ url, name, certificate, issuer, client })),
    );
    const byCrl = crls.map(
      (url) => async () => found('crl', await crlSource.statusOf(url, certificate, issuer, client)),
    );
    let finding: RevocationFinding | undefined = unknownFinding(
      'names no responder and no CRL',
      Date.now() + limits.revocationRetryMs,
    );
    let isCrowded = false;
    for (const ask of isCa(certificate) ? [...byCrl, ...byOcsp] : [...byOcsp, ...byCrl]) {
      finding = await ask();
      if (finding !== undefined && finding.status !== 'unknown') return finding;
      isCrowded ||= finding === undefined;
    }
    // Who was not asked might have known.
    return isCrowded ? undefined : finding;
  }
}

function isCa({ extensions }: Certificate): boolean {
  return basicConstraintsOf(extensions).ca;
}

function found(source: 'ocsp' | 'crl', dated: Dated | undefined): RevocationFinding | undefined {
  return dated && findingOf(source, dated.status, untilOf(dated));
}
