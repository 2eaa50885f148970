import type { FailureCode } from './failures.ts';
import type { Side } from './side.ts';
import type { Verdict } from './verdict.ts';

/** How messages are compressed (RFC 7692): whether each side refers to what it sent before. */
export interface DeflateParameters {
  readonly keepsContext: Readonly<Record<Side, boolean>>;
}

/** What the opening handshake of a WebSocket agreed on. */
export interface WebSocketAgreement {
  readonly deflate: DeflateParameters | undefined;
}

export type MessageType = 'text' | 'binary';

/** What is known of a message when it begins. */
export interface MessageHead {
  readonly type: MessageType;
  readonly isCompressed: boolean;
  /** Its whole length, where the first frame tells it. */
  readonly bytes: number | undefined;
}

/**
 * The messages of one WebSocket as its relay reports them. Each call that returns a verdict comes before the bytes in
 * question are forwarded; anything but `allow` ends the WebSocket. Content is unmasked and inflated; pieces must not be
 * kept (they are views on buffers that are used again).
 */
export interface MessageInspector {
  begin(from: Side, head: MessageHead): Verdict;
  content(from: Side, bytes: Buffer): Verdict;
  end(from: Side): Verdict;
  /** Ping, Pong or Close. */
  control(from: Side): void;
  /** The pump's clock. */
  tick(nowMs: number): void;
  /** Called exactly once, last. */
  finish(failure: FailureCode | undefined, detail: string): void;
}
