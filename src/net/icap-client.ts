import type { IcapAnswerHead } from '../codec/icap-answer-head.ts';
import {
  type IcapMessage,
  type IcapService,
  icapChunks,
  icapHead,
  icapOptions,
  lastChunk,
  lastChunkOfAll,
} from '../codec/icap-request.ts';
import { type IcapOptions, icapOptionsOf, SameBody, threatOf } from '../codec/icap-verdict.ts';
import { type FailureCode, FlowFailure } from '../core/failures.ts';
import { limits } from '../core/limits.ts';
import type { IcapAnswer, IcapConnection } from './icap-connection.ts';
import { IcapConnections } from './icap-connections.ts';
import { IcapPlaces } from './icap-places.ts';

export interface IcapScanner {
  readonly host: string;
  readonly port: number;
  readonly service: IcapService;
  readonly timeoutMs: number;
}

/** What a scanner says of a message. */
export type IcapOutcome = { readonly kind: 'clean' } | { readonly kind: 'blocked'; readonly found: string };

/** Client of one content scanner (RFC 3507). It asks for what the service supports once in a while, and keeps connections. */
export class IcapClient {
  readonly #scanner: IcapScanner;
  readonly #connections: IcapConnections;
  readonly #places: IcapPlaces;
  #options: { readonly known: IcapOptions; readonly untilMs: number } | undefined;

  constructor(scanner: IcapScanner) {
    this.#scanner = scanner;
    this.#connections = new IcapConnections(scanner.host, scanner.port);
    this.#places = new IcapPlaces(scanner.timeoutMs);
  }

  /**
   * Has a message scanned, in the share of its client. Rejects with GATEWAY_SCANNER_TIMEOUT, GATEWAY_SCANNER_UNREACHABLE,
   * GATEWAY_SCANNER_FAILED, GATEWAY_OVERLOADED, CLIENT_HOARDING, or the reason of `cancel`.
   */
  async scan(message: IcapMessage, client: string, cancel: AbortSignal): Promise<IcapOutcome> {
    await this.#places.enter(client, cancel);
    const deadline = new AbortController();
    const timer = setTimeout(
      () => deadline.abort(new FlowFailure('GATEWAY_SCANNER_TIMEOUT', `${this.#scanner.timeoutMs} ms`)),
      this.#scanner.timeoutMs,
    );
    const onCancel = (): void => deadline.abort(cancel.reason);
    cancel.addEventListener('abort', onCancel);
    try {
      if (cancel.aborted) onCancel();
      const outcome = await this.#scan(message, deadline.signal);
      this.#places.isFailing = false;
      return outcome;
    } catch (error) {
      if (error instanceof FlowFailure && isSilence(error.code)) this.#places.isFailing = true;
      throw error;
    } finally {
      clearTimeout(timer);
      cancel.removeEventListener('abort', onCancel);
      this.#places.leave(client);
    }
  }

  async #scan(message: IcapMessage, signal: AbortSignal): Promise<IcapOutcome> {
    const options = await this.#supported(signal);
    if (!options.methods.includes(message.method)) throw failed(`the service does not offer ${message.method}`);
    return this.#retrying(signal, (connection) => ask(connection, this.#scanner.service, message, options, signal));
  }

  async #supported(signal: AbortSignal): Promise<IcapOptions> {
    const present = this.#options;
    if (present !== undefined && Date.now() < present.untilMs) return present.known;
    const known = await this.#retrying(signal, async (connection) => {
      connection.send([icapOptions(this.#scanner.service)]);
      const { head } = await connection.answer({ signal, body: () => true });
      if (head.status !== 200) throw failed(`OPTIONS: status ${head.status}`);
      return icapOptionsOf(head);
    });
    const ttlMs = known.ttlSeconds === undefined ? limits.scannerOptionsMs : known.ttlSeconds * 1000;
    this.#options = { known, untilMs: Date.now() + Math.min(ttlMs, limits.scannerOptionsMs) };
    this.#places.atOnce = Math.max(1, Math.min(known.connections ?? Infinity, limits.scannerConnections));
    return known;
  }

  /** A kept connection may have been ended by the scanner while the request was on its way: asking again harms nothing. */
  async #retrying<T>(signal: AbortSignal, use: (connection: IcapConnection) => Promise<T>): Promise<T> {
    let isStale = false;
    const noting = (connection: IcapConnection): Promise<T> =>
      use(connection).catch((error: unknown) => {
        isStale = connection.isUsed && !connection.isAnswering && !signal.aborted;
        throw error;
      });
    try {
      return await this.#connections.with(signal, false, noting);
    } catch (error) {
      if (!isStale) throw error;
      return await this.#connections.with(signal, true, use);
    }
  }
}

function isSilence(code: FailureCode): boolean {
  return code === 'GATEWAY_SCANNER_TIMEOUT' || code === 'GATEWAY_SCANNER_UNREACHABLE';
}

async function ask(
  connection: IcapConnection,
  service: IcapService,
  message: IcapMessage,
  options: IcapOptions,
  signal: AbortSignal,
): Promise<IcapOutcome> {
  const { body, bodyBytes } = message;
  const previewBytes =
    options.previewBytes === undefined
      ? undefined
      : Math.min(options.previewBytes, bodyBytes, limits.scannerPreviewBytes);
  const sentBytes = previewBytes ?? bodyBytes;
  const isAll = sentBytes === bodyBytes;
  const same = new SameBody(body);
  const wishes = {
    signal,
    body: (chunk: Buffer): boolean => {
      same.push(chunk);
      return same.isDifferent;
    },
  };
  const last = isAll && previewBytes !== undefined ? lastChunkOfAll : lastChunk;
  connection.send([icapHead(service, message, previewBytes), ...icapChunks(body, 0, sentBytes), last]);
  const first = await connection.answer(wishes);
  if (first.head.status !== 100) return outcomeOf(first, message, same);
  // Only a preview that is not the whole body is gone on with (RFC 3507 section 4.5).
  if (isAll) throw failed('100 in answer to a whole body');
  connection.send([...icapChunks(body, sentBytes, bodyBytes), lastChunk]);
  return outcomeOf(await connection.answer(wishes), message, same);
}

/** Unmodified is clean. Whatever the scanner would have put in its place is not let through: the message is blocked. */
function outcomeOf({ head, startLine }: IcapAnswer, message: IcapMessage, same: SameBody): IcapOutcome {
  if (head.status === 204) return { kind: 'clean' };
  if (head.status === 403) return { kind: 'blocked', found: threatOf(head) ?? 'ICAP status 403' };
  if (head.status !== 200) throw failed(`status ${head.status}`);
  if (head.httpHead === undefined) throw failed('status 200 without an HTTP message');
  if (isSameMessage(head, startLine, message, same)) return { kind: 'clean' };
  return { kind: 'blocked', found: threatOf(head) ?? replacement(head, startLine) };
}

function isSameMessage(head: IcapAnswerHead, startLine: string, message: IcapMessage, same: SameBody): boolean {
  const sent = message.responseHead ?? message.requestHead;
  if ((head.httpHead === 'res-hdr') !== (message.responseHead !== undefined)) return false;
  return sent.toString('latin1').startsWith(`${startLine}\r\n`) && same.isSame;
}

function replacement(head: IcapAnswerHead, startLine: string): string {
  const status = head.httpHead === 'res-hdr' ? /^HTTP\/1\.[01] (\d{3})(?: |$)/.exec(startLine)?.[1] : undefined;
  return status === undefined ? 'changed the message' : `answered with HTTP ${status}`;
}

function failed(detail: string): FlowFailure {
  return new FlowFailure('GATEWAY_SCANNER_FAILED', detail);
}
