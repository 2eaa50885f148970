import type { Destination } from './endpoint.ts';
import type { FailureCode } from './failures.ts';
import type { Verdict } from './verdict.ts';
import type { MessageInspector } from './websocket.ts';

/** Name and value as sent (latin1), in wire order. */
export type Header = readonly [name: string, value: string];

/** How the length of a message body is known (RFC 9112 section 6.3). */
export type BodyFraming =
  | { readonly kind: 'none' }
  | { readonly kind: 'length'; readonly bytes: number }
  | { readonly kind: 'chunked' }
  | { readonly kind: 'until-close' };

export interface RequestHead {
  readonly method: string;
  /** Request target as sent. */
  readonly target: string;
  readonly version: '1.0' | '1.1' | '2';
  /** Host of the request: from the absolute-form target or the Host header, lower-case, without port. Empty if none. */
  readonly host: string;
  readonly headers: readonly Header[];
  readonly framing: BodyFraming;
  /** Stream of an HTTP/2 request. */
  readonly streamId?: number;
}

export interface ResponseHead {
  readonly status: number;
  readonly reason: string;
  readonly version: '1.0' | '1.1' | '2';
  readonly headers: readonly Header[];
  readonly framing: BodyFraming;
}

/** How an exchange ended. */
export interface ExchangeOutcome {
  /** Both messages were complete. */
  readonly complete: boolean;
  readonly failure: FailureCode | undefined;
  readonly detail: string;
  /** Body bytes after transfer decoding, and bytes on the wire, heads included. */
  readonly requestBodyBytes: number;
  readonly responseBodyBytes: number;
  readonly requestWireBytes: number;
  readonly responseWireBytes: number;
  /** Status of the answer that the gateway gave the client itself, where it did. */
  readonly answered?: number | undefined;
}

/**
 * One HTTP exchange as the relay reports it, in wire order. Each call that returns a verdict is synchronous and comes
 * before the bytes in question are forwarded; anything but `allow` ends the exchange. Bodies are passed without their
 * transfer coding; chunks must not be kept (they are views on receive buffers).
 */
export interface Exchange {
  requestHead(head: RequestHead): Verdict;
  requestBody(chunk: Buffer): Verdict;
  /** Changes that the verdict asks for are made to the trailers. */
  requestEnd(trailers: readonly Header[]): Verdict;
  /** Final response only; 1xx are passed to `interim`. */
  responseHead(head: ResponseHead): Verdict;
  responseBody(chunk: Buffer): Verdict;
  responseEnd(trailers: readonly Header[]): Verdict;
  interim(head: ResponseHead): Verdict;
  /** The protocol was switched (101 or CONNECT). `unread`: why what follows is not inspected; undefined when it is. */
  upgraded(protocol: string, unread?: string): void;
  /** The relay itself leaves something out that would lead to where nobody inspects; in the words of a record. */
  changed?(note: string): void;
  /** Inspects the messages of a WebSocket that this exchange opens; where there is nothing of it they are not inspected. */
  messages?(): MessageInspector;
  /** Called exactly once, last. */
  finish(outcome: ExchangeOutcome): void;
}

/**
 * Makes an exchange per request. `depth` counts from 0 in the flow. Policy may judge the host of a request, and the
 * destination of one in absolute form, otherwise than those of the one before it.
 */
export interface Inspector {
  exchange(depth: number, host: string, destination?: Destination): Exchange;
}
