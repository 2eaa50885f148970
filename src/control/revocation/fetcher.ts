import type { Dispatcher } from 'undici';
import { compileHostPatterns } from '../../codec/host.ts';
import { limits } from '../../core/limits.ts';
import type { FetchAgents } from './fetch-agents.ts';
import { FetchSlots } from './fetch-slots.ts';
import { loadUndici } from './load-undici.ts';
import { createProxiedTest } from './proxied-names.ts';
import { RefusedAddress } from './refused-address.ts';
import type { RevocationSettings } from './revocation-settings.ts';

/** What is asked of a URL: its content, or the answer to a request that is posted to it. */
export interface FetchWish {
  readonly url: string;
  readonly post?: { readonly body: Buffer; readonly contentType: string };
  readonly maximumBytes: number;
  /** Whose share of what is fetched at once it is. */
  readonly client: string;
}

export type Fetched =
  | { readonly kind: 'ok'; readonly body: Buffer }
  /** `refused`: not asked at all, by policy; `crowded`: for too many others, or too many of the same client. */
  | { readonly kind: 'failed' | 'refused' | 'crowded'; readonly detail: string };

const mostRedirects = 3;

/** Fetches what certificates point to: http alone, bounded in time, bytes, redirects and number, never within our own networks. */
export class Fetcher {
  readonly #settings: RevocationSettings;
  #agents: FetchAgents | undefined;
  readonly #isDirect: (host: string) => boolean;
  readonly #mayBeProxied: (host: string) => Promise<boolean>;
  readonly #fetchMs: number;
  readonly #slots = new FetchSlots(limits.revocationFetchesPerHost);

  constructor(settings: RevocationSettings) {
    this.#settings = settings;
    this.#mayBeProxied = createProxiedTest(settings);
    this.#fetchMs = settings.fetchMs;
    this.#isDirect = compileHostPatterns(settings.upstream?.except ?? []);
  }

  /** Resolves within the time limit of the settings once its turn has come; never rejects. */
  async fetch(wish: FetchWish): Promise<Fetched> {
    const { host } = new URL(wish.url);
    const turn = this.#slots.enter(host, wish.client);
    if (turn === undefined) return { kind: 'crowded', detail: 'too many fetches under way' };
    await turn;
    try {
      return await this.#follow(wish, AbortSignal.timeout(this.#fetchMs));
    } catch (error) {
      if (error instanceof RefusedAddress) return { kind: 'refused', detail: error.message };
      return { kind: 'failed', detail: describe(error) };
    } finally {
      this.#slots.leave(host, wish.client);
    }
  }

  /** Lets go of connections that are kept. */
  async close(): Promise<void> {
    await Promise.all([this.#agents?.direct.destroy(), this.#agents?.proxy?.destroy()]);
  }

  async #follow(wish: FetchWish, signal: AbortSignal): Promise<Fetched> {
    let url = new URL(wish.url);
    for (let redirects = 0; redirects <= mostRedirects; redirects += 1) {
      const answer = await this.#request(url, wish, signal);
      const location = answer.headers.location;
      if (answer.statusCode >= 300 && answer.statusCode < 400 && typeof location === 'string') {
        await discard(answer);
        if (!URL.canParse(location, url)) return { kind: 'failed', detail: 'redirect to no URL' };
        url = new URL(location, url);
        if (url.protocol !== 'http:') return { kind: 'refused', detail: 'redirect away from http' };
        continue;
      }
      if (answer.statusCode === 200) return await read(answer, wish.maximumBytes);
      await discard(answer);
      return { kind: 'failed', detail: `HTTP status ${answer.statusCode}` };
    }
    return { kind: 'failed', detail: 'too many redirects' };
  }

  async #request(url: URL, { post }: FetchWish, signal: AbortSignal): Promise<Dispatcher.ResponseData> {
    if (this.#agents === undefined) await loadUndici();
    const { createFetchAgents } = await import('./fetch-agents.ts');
    this.#agents ??= createFetchAgents(this.#settings);
    const { direct, proxy } = this.#agents;
    const host = url.hostname.replace(/^\[|\]$/g, '');
    const dispatcher = proxy === undefined || this.#isDirect(host) ? direct : await this.#proxied(host, proxy);
    return dispatcher.request({
      origin: url.origin,
      path: `${url.pathname}${url.search}`,
      method: post === undefined ? 'GET' : 'POST',
      headers: { 'user-agent': 'daylight', ...(post === undefined ? {} : { 'content-type': post.contentType }) },
      body: post?.body ?? null,
      signal,
      headersTimeout: this.#fetchMs,
      bodyTimeout: this.#fetchMs,
    });
  }

  async #proxied(host: string, proxy: Dispatcher): Promise<Dispatcher> {
    if (await this.#mayBeProxied(host)) return proxy;
    throw new RefusedAddress('address is not public');
  }
}

async function read({ headers, body }: Dispatcher.ResponseData, maximumBytes: number): Promise<Fetched> {
  const announced = Number(headers['content-length'] ?? 0);
  const chunks: Buffer[] = [];
  let length = 0;
  if (announced <= maximumBytes) {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > maximumBytes) break;
      chunks.push(chunk);
    }
  }
  if (announced <= maximumBytes && length <= maximumBytes) return { kind: 'ok', body: Buffer.concat(chunks) };
  body.on('error', () => {}).destroy();
  return { kind: 'failed', detail: `longer than ${maximumBytes} bytes` };
}

/** The connection goes with it: what is left may be without end. */
async function discard({ body }: Dispatcher.ResponseData): Promise<void> {
  body.on('error', () => {}).destroy();
}

/** Words of our own or error codes, never the text of a peer. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return 'fetch failed';
  if (error.name === 'TimeoutError') return 'no answer in time';
  const code = (error as NodeJS.ErrnoException).code;
  return typeof code === 'string' ? code : error.message === 'name does not resolve' ? error.message : 'fetch failed';
}
