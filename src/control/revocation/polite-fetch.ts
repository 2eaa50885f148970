import { limits } from '../../core/limits.ts';
import { BoundedCache } from '../../pki/bounded-cache.ts';
import type { Fetched, Fetcher, FetchWish } from './fetcher.ts';

/** Asks a URL, unless it failed just now. */
export type AskUrl = (kind: 'crl' | 'ocsp', url: string, wish: FetchWish) => Promise<Fetched>;

/** URLs that failed are left alone for a while: a responder in trouble is not helped by being asked for every flow. */
export function politeFetch(fetcher: Fetcher, count: (series: string) => void): AskUrl {
  const failures = new BoundedCache<{ readonly untilMs: number; readonly detail: string }>(limits.revocationAnswers);
  return async (kind, url, wish) => {
    const failure = failures.get(url);
    if (failure !== undefined && failure.untilMs > Date.now()) return { kind: 'failed', detail: failure.detail };
    const fetched = await fetcher.fetch(wish);
    count(`daylight_revocation_fetches_total{kind="${kind}",outcome="${fetched.kind}"}`);
    if (fetched.kind === 'failed') {
      failures.set(url, { untilMs: Date.now() + limits.revocationRetryMs, detail: fetched.detail }, 1);
    }
    return fetched;
  };
}
