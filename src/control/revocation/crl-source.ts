import { setImmediate as nextTurn } from 'node:timers/promises';
import { limits } from '../../core/limits.ts';
import { BoundedCache } from '../../pki/bounded-cache.ts';
import type { Certificate } from '../../pki/certificate.ts';
import type { Crl } from '../../pki/revocation/crl.ts';
import { crlStatusOf, prepareCrl, readCrl } from '../../pki/revocation/crl-status.ts';
import { type RevocationStatus, unknownStatus } from '../../pki/revocation/revocation-status.ts';
import type { AnswerFiles } from './answer-files.ts';
import { AskedOnce } from './asked-once.ts';
import { type Dated, isFresh } from './dated-status.ts';
import type { AskUrl } from './polite-fetch.ts';

interface HeldCrl {
  readonly crl: Crl;
  readonly fetchedMs: number;
}

/** CRLs by URL, shared by all certificates that point to them: in memory ready to be asked, on disk as they came. */
export class CrlSource {
  readonly #files: AnswerFiles;
  readonly #ask: AskUrl;
  readonly #held = new BoundedCache<HeldCrl>(limits.crlMemoryBytes);
  /** One fetch and one reading at a time for each URL. */
  readonly #pending = new AskedOnce<HeldCrl | string>();

  constructor(files: AnswerFiles, ask: AskUrl) {
    this.#files = files;
    this.#ask = ask;
  }

  /** What the CRL at a URL says of a certificate. What was kept is asked first; whoever is newer counts. Undefined where its client has no place for a fetch. */
  async statusOf(
    url: string,
    certificate: Certificate,
    issuer: Certificate,
    client: string,
  ): Promise<Dated | undefined> {
    const kept = this.#held.get(url) ?? (await this.#fromDisk(url));
    const known = kept === undefined ? undefined : await judge(kept, certificate, issuer);
    if (known !== undefined && isFresh(known)) return known;
    const fetched = await this.#pending.ask(url, client, () => this.#fetch(url, client));
    if (fetched === undefined || typeof fetched === 'string') {
      if (known !== undefined && known.status.kind !== 'unknown') return { ...known, isLate: true };
      return fetched === undefined ? undefined : failed(fetched);
    }
    const answer = await judge(fetched, certificate, issuer);
    // Somebody on the way may play back an older one: plain http protects from nothing.
    const isOlder = kept !== undefined && fetched.crl.thisUpdateMs < kept.crl.thisUpdateMs;
    if (known !== undefined && known.status.kind !== 'unknown' && (isOlder || answer.status.kind === 'unknown')) {
      return { ...known, isLate: true };
    }
    if (answer.status.kind !== 'unknown') this.#keep(url, fetched);
    return answer;
  }

  #keep(url: string, held: HeldCrl): void {
    if (this.#held.get(url) === held) return;
    // The index beside it takes up to half as much again.
    this.#held.set(url, held, held.crl.der.length);
    void this.#files.write(`crl ${url}`, held.crl.der, held.fetchedMs);
  }

  async #fromDisk(url: string): Promise<HeldCrl | undefined> {
    const stored = await this.#files.read(`crl ${url}`);
    const crl = stored === undefined ? undefined : readCrl(stored.bytes);
    if (stored === undefined || crl === undefined) return undefined;
    const held = this.#held.get(url) ?? { crl, fetchedMs: stored.fetchedMs };
    this.#held.set(url, held, held.crl.der.length);
    return held;
  }

  async #fetch(url: string, client: string): Promise<HeldCrl | string | undefined> {
    const fetched = await this.#ask('crl', url, { url, maximumBytes: limits.crlBytes, client });
    if (fetched.kind === 'crowded') return undefined;
    if (fetched.kind !== 'ok') return fetched.detail;
    const crl = readCrl(fetched.body);
    return crl === undefined ? 'CRL malformed' : { crl, fetchedMs: Date.now() };
  }
}

/** Signature and entries of a large CRL are read in steps, and once for each. */
async function judge(held: HeldCrl, certificate: Certificate, issuer: Certificate): Promise<Dated> {
  if (held.crl.issuer.equals(issuer.subject)) await prepareCrl(held.crl, issuer, nextTurn);
  const status = crlStatusOf({ certificate, issuer, crls: [held.crl], now: Date.now() });
  return { status, fetchedMs: held.fetchedMs, isLate: false };
}

function failed(detail: string): Dated {
  const status: RevocationStatus = unknownStatus(detail);
  return { status, fetchedMs: Date.now(), isLate: false };
}
