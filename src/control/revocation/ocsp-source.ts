import { limits } from '../../core/limits.ts';
import type { Certificate } from '../../pki/certificate.ts';
import { ocspRequest } from '../../pki/revocation/ocsp-request.ts';
import { ocspStatusOf } from '../../pki/revocation/ocsp-status.ts';
import { unknownStatus } from '../../pki/revocation/revocation-status.ts';
import type { AnswerFiles } from './answer-files.ts';
import { type Dated, isFresh } from './dated-status.ts';
import type { AskUrl } from './polite-fetch.ts';

export interface OcspQuestion {
  readonly url: string;
  /** Tells certificates apart. */
  readonly name: string;
  readonly certificate: Certificate;
  readonly issuer: Certificate;
  /** Whose share of what is fetched at once it is. */
  readonly client: string;
}

/** Asks OCSP responders, and keeps on disk what they sign. */
export class OcspSource {
  readonly #files: AnswerFiles;
  readonly #ask: AskUrl;

  constructor(files: AnswerFiles, ask: AskUrl) {
    this.#files = files;
    this.#ask = ask;
  }

  /** What a responder says of a certificate; what it said before is asked first. Undefined where its client has no place for asking. */
  async statusOf({ url, name, certificate, issuer, client }: OcspQuestion): Promise<Dated | undefined> {
    const key = `ocsp ${url} ${name}`;
    const known = await this.#fromDisk(key, certificate, issuer);
    if (known !== undefined && isFresh(known)) return known;
    const fetched = await this.#ask('ocsp', url, {
      url,
      post: { body: ocspRequest(certificate, issuer), contentType: 'application/ocsp-request' },
      maximumBytes: limits.ocspBytes,
      client,
    });
    const fetchedMs = Date.now();
    const status =
      fetched.kind === 'ok'
        ? ocspStatusOf({ certificate, issuer, response: fetched.body, now: fetchedMs })
        : unknownStatus(fetched.detail);
    if (status.kind === 'unknown') {
      if (known !== undefined && known.status.kind !== 'unknown') return { ...known, isLate: true };
      return fetched.kind === 'crowded' ? undefined : { status, fetchedMs, isLate: false };
    }
    if (fetched.kind === 'ok') void this.#files.write(key, fetched.body, fetchedMs);
    return { status, fetchedMs, isLate: false };
  }

  async #fromDisk(key: string, certificate: Certificate, issuer: Certificate): Promise<Dated | undefined> {
    const stored = await this.#files.read(key);
    if (stored === undefined) return undefined;
    const { bytes, fetchedMs } = stored;
    return {
      status: ocspStatusOf({ certificate, issuer, response: bytes, now: Date.now() }),
      fetchedMs,
      isLate: false,
    };
  }
}
