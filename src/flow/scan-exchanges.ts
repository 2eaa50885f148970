import { scannedRequestHead, scannedResponseHead } from '../codec/icap-request.ts';
import type { Exchange, ExchangeOutcome, Header, RequestHead, ResponseHead } from '../core/http.ts';
import type { ScanFacts } from '../core/record.ts';
import type { Match, Verdict } from '../core/verdict.ts';
import type { MessageInspector } from '../core/websocket.ts';
import { MessageScan, scanAlarm } from './message-scan.ts';
import type { Scanner } from './scanners.ts';

/** An exchange that rules inspect, as a scan tells it what it found. */
export interface ScannableExchange extends Exchange {
  /** Records an alarm; returns once it is on disk. */
  alarm(match: Match): void;
  /** Takes a verdict for its record that was not made by rules. */
  settle(verdict: Verdict): Verdict;
  noteScan(facts: ScanFacts): void;
  messages(): MessageInspector;
}

export interface ScanOptions {
  readonly scheme: 'http' | 'https';
  readonly shareKey: string;
  readonly scannersOf: (requestHost: string) => readonly Scanner[];
}

/** Shows the bodies of an exchange to content scanners, after the rules have judged them. */
export class ScannedExchange implements Exchange {
  readonly #inner: ScannableExchange;
  readonly #options: ScanOptions;
  #scanners: readonly Scanner[] = [];
  #request: RequestHead | undefined;
  #requestScan: MessageScan | undefined;
  #responseScan: MessageScan | undefined;

  constructor(inner: ScannableExchange, options: ScanOptions) {
    this.#inner = inner;
    this.#options = options;
  }

  requestHead(head: RequestHead): Verdict {
    this.#request = head;
    const verdict = this.#inner.requestHead(head);
    this.#scanners = this.#options.scannersOf(head.host);
    const scanners = this.#scanners.filter(({ policy }) => policy.mode !== 'response');
    if (verdict.kind !== 'allow' || scanners.length === 0 || head.framing.kind === 'none') return verdict;
    const requestHead = scannedRequestHead(head, this.#options.scheme);
    this.#requestScan = new MessageScan({
      method: 'REQMOD',
      message: 'request',
      scanners,
      framing: head.framing,
      shareKey: this.#options.shareKey,
      heads: () => ({ requestHead, responseHead: undefined }),
      onOutcome: (facts) => this.#noted(facts),
    });
    const begun = this.#passed(this.#requestScan, this.#requestScan.begin(), verdict);
    const awaitsContinue = head.headers.some(([name]) => name.toLowerCase() === 'expect');
    // The body comes only when the origin has seen the head.
    return awaitsContinue && begun.kind === 'allow' ? verdict : begun;
  }

  requestBody(chunk: Buffer): Verdict {
    return this.#chunk(this.#requestScan, chunk, this.#inner.requestBody(chunk));
  }

  requestEnd(trailers: readonly Header[]): Verdict {
    return this.#end(this.#requestScan, this.#inner.requestEnd(trailers));
  }

  responseHead(head: ResponseHead): Verdict {
    const verdict = this.#inner.responseHead(head);
    const request = this.#request;
    const scanners = this.#scanners.filter(({ policy }) => policy.mode !== 'request');
    if (verdict.kind !== 'allow' || scanners.length === 0 || head.framing.kind === 'none' || request === undefined) {
      return verdict;
    }
    this.#responseScan = new MessageScan({
      method: 'RESPMOD',
      message: 'response',
      scanners,
      framing: head.framing,
      shareKey: this.#options.shareKey,
      heads: () => ({
        requestHead: scannedRequestHead(request, this.#options.scheme),
        responseHead: scannedResponseHead(head),
      }),
      onOutcome: (facts) => this.#noted(facts),
    });
    return this.#passed(this.#responseScan, this.#responseScan.begin(), verdict);
  }

  responseBody(chunk: Buffer): Verdict {
    return this.#chunk(this.#responseScan, chunk, this.#inner.responseBody(chunk));
  }

  responseEnd(trailers: readonly Header[]): Verdict {
    return this.#end(this.#responseScan, this.#inner.responseEnd(trailers));
  }

  interim(head: ResponseHead): Verdict {
    return this.#inner.interim(head);
  }

  upgraded(protocol: string, unread?: string): void {
    this.#inner.upgraded(protocol, unread);
  }

  changed(note: string): void {
    this.#inner.changed?.(note);
  }

  messages(): MessageInspector {
    return this.#inner.messages();
  }

  finish(outcome: ExchangeOutcome): void {
    this.#requestScan?.close();
    this.#responseScan?.close();
    this.#inner.finish(outcome);
  }

  #chunk(scan: MessageScan | undefined, chunk: Buffer, verdict: Verdict): Verdict {
    if (scan === undefined || !scan.isActive || verdict.kind !== 'allow') return verdict;
    return this.#passed(scan, scan.chunk(chunk), verdict);
  }

  #passed(scan: MessageScan, scanned: Verdict, verdict: Verdict): Verdict {
    if (scanned.kind !== 'allow') return this.#inner.settle(scanned);
    return scan.isActive ? { ...verdict, ...keepAll } : verdict;
  }

  /** The scan begins when the message is as it will go on. */
  #end(scan: MessageScan | undefined, verdict: Verdict): Verdict {
    if (verdict.kind !== 'allow' || scan === undefined) return verdict;
    const { until } = verdict;
    const scanned =
      until === undefined
        ? scan.end()
        : until.then((first) => (first.kind === 'allow' ? (scan.end() ?? first) : first));
    if (scanned === undefined) return verdict;
    return { ...verdict, ...keepAll, until: scanned.then((last) => this.#inner.settle(last)) };
  }

  #noted(facts: ScanFacts): void {
    this.#inner.noteScan(facts);
    if (facts.outcome === 'blocked') this.#inner.alarm(scanAlarm(facts, `http.${facts.message}.body`));
  }
}

const keepAll = { kind: 'allow', keepBytes: Number.POSITIVE_INFINITY } as const;
