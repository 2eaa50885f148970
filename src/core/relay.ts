import type { Destination } from './endpoint.ts';
import type { FailureCode } from './failures.ts';
import type { Side } from './side.ts';
import type { MessageInspector, WebSocketAgreement } from './websocket.ts';

/** What a flow goes on as after an upgrade. */
export type Upgrade = ProtocolSwitch | TlsUpgrade | TlsEnd;
/** What follows a 101 (Switching Protocols). */
export type ProtocolSwitch = OpaqueUpgrade | WebSocketUpgrade;

/** Both sides are copied from now on (101 Switching Protocols). */
interface OpaqueUpgrade {
  readonly kind: 'opaque';
  readonly protocol: string;
}

/** Both sides are read as WebSocket frames from now on. */
interface WebSocketUpgrade {
  readonly kind: 'websocket';
  readonly agreement: WebSocketAgreement;
  readonly messages: MessageInspector;
  /** Bytes that came with the handshake, before there was a relay to read them. */
  readonly early: readonly { readonly from: Side; readonly bytes: Buffer }[];
  /** The client has ended its half behind them. */
  readonly isClientEnded: boolean;
}

/**
 * TLS on both legs in mid-stream (STARTTLS, AUTH TLS): asked for when the origin has agreed and the client has not been
 * answered. The origin is verified first; only then is `accept` sent to the client, and its handshake awaited. The relay
 * then goes on with `upgraded`, or with `upgradeFailed` while the client still reads plaintext.
 */
export interface TlsUpgrade {
  readonly kind: 'tls';
  /** The positive answer to the client, the last bytes it gets in plaintext. */
  readonly accept: Buffer;
  /** What the origin calls itself: the name to verify where the client has named none so far. */
  readonly originName: string | undefined;
  /** Application protocols that a client may offer here; offering only others it meant to speak to somebody else. */
  readonly alpn: readonly string[];
  /** What leads the origin here again on a new connection, where it and the client may be left to each other. */
  readonly again?: readonly Buffer[];
}

/**
 * The end of TLS on both legs in mid-stream (CCC): asked for when the origin has agreed and the client has not been answered.
 * The origin's leg comes first; then `accept` is the last that the client gets under TLS. The relay goes on as above.
 */
export interface TlsEnd {
  readonly kind: 'clear';
  readonly accept: Buffer;
}

/**
 * A protocol's relay: sans-I/O. The pump calls `receive` with the bytes of a side as they come, and `end` once when the
 * side has ended its half. `bytes` is the relay's to keep or to forward as a view.
 */
export interface Relay {
  receive(from: Side, bytes: Buffer): void;
  /** `clean` is false when TLS ended without close_notify or the transport failed. */
  end(from: Side, clean: boolean): void;
  /** An origin that `wire.retarget` asked for could not be opened. The relay answers the client and closes. */
  originFailed?(code: FailureCode, detail: string): void;
  /** Both legs are TLS now: what was learned in plaintext counts no more (RFC 3207 section 4.2). Or both are plain again. */
  upgraded?(): void;
  /** The origin leg could not be upgraded. The relay answers the client, which still waits as before, and closes. */
  upgradeFailed?(code: FailureCode, detail: string): void;
  /** The flow ends from outside (idle limit, drain, crash of an inspector): the relay finishes its exchanges, sends nothing. */
  cut(code: FailureCode, detail: string): void;
  /** No byte came from either side within the idle limit, in the middle of a transaction: the relay answers and ends the flow. */
  timedOut?(): void;
  /** `timedOut` is called between transactions too, where a flow just ends otherwise: servers of the protocol say why they go. */
  readonly tellsSilence?: boolean | undefined;
  /** A side has taken all that waited for it, after `wire.isFull` was true of it. */
  drained?(side: Side): void;
  /** The pump's clock: called about once a second with milliseconds since an arbitrary start. */
  tick?(nowMs: number): void;
  /** The gateway wants the flow to end: a protocol that can tells the client to begin nothing else. May be called again. */
  drain?(): void;
  /**
   * After `drain` its next message tells the client that nothing follows. A client that is about to begin a transaction hears
   * that rather than the end of the connection in the middle of it: a draining pump waits a moment for one.
   */
  readonly tellsEnd?: boolean | undefined;
  /** True between transactions: a draining gateway may close the flow now without cutting anything. */
  idle?(): boolean;
}

/** What a relay may do to the world. Implemented by the pump. */
export interface Wire {
  send(to: Side, bytes: Buffer): void;
  /** Ends our half towards that side (FIN or close_notify) after what was sent. */
  end(to: Side): void;
  /** Ends the flow after what was sent is flushed: normally, when `code` is undefined, else with that failure recorded. */
  close(code?: FailureCode, detail?: string): void;
  /** Ends the flow at once and visibly (TCP reset, no close_notify), so that no side takes a cut message for a whole one. */
  abort(code: FailureCode, detail?: string): void;
  upgrade(next: Upgrade): void;
  /**
   * Explicit proxy with absolute-form requests: the next request goes to another origin. The pump closes the present
   * origin leg, dials `destination`, and queues what is sent to the origin until it is open. Client bytes are paused meanwhile.
   */
  retarget?(destination: Destination): void;
  /** Whether bytes wait for the side to take those before them: what can wait elsewhere should, until `drained`. */
  isFull?(side: Side): boolean;
  /** Stops or resumes reading of a side (a full pipeline, a held response). */
  pause(side: Side, paused: boolean): void;
}
