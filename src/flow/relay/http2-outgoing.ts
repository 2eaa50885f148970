import { encodeFields } from '../../codec/hpack-encoder.ts';
import type { Http2Field } from '../../codec/http2-field.ts';
import { headersFrames } from '../../codec/http2-frames.ts';
import { limits } from '../../core/limits.ts';
import type { Wire } from '../../core/relay.ts';
import type { Side } from '../../core/side.ts';
import { viewOf } from './http1-forwarder.ts';

/** What is sent to one side: received frames that lie side by side as one view, and frames of the gateway's own between them. */
export class Http2Outgoing {
  readonly #wire: Wire;
  readonly #to: Side;
  #bytes: Buffer = empty;
  #from = 0;
  #until = 0;
  /** What was sent in this turn of messages that had waited. */
  turnBytes = 0;
  /** The next header block begins by giving the dynamic table up: nothing else keeps a lowered limit. */
  tellsTable = true;

  /** Frames of the gateway's own that wait for the settings of the other side, which must come first (RFC 9113 section 3.4). */
  #waiting: Buffer[] | undefined;

  constructor(wire: Wire, to: Side, waits: boolean) {
    this.#wire = wire;
    this.#to = to;
    if (waits) this.#waiting = [];
  }

  get isWaiting(): boolean {
    return this.#waiting !== undefined;
  }

  /** Whether more of those may go now: what the side does not read would only wait elsewhere, uncounted. */
  get takesMore(): boolean {
    // The wire learns at the end of a turn what was sent in it.
    return this.turnBytes < limits.sendBufferBytes && this.#wire.isFull?.(this.#to) !== true;
  }

  /** The settings were forwarded: what waited for them follows. */
  open(): void {
    const waiting = this.#waiting ?? [];
    this.#waiting = undefined;
    for (const frame of waiting) this.send(frame);
  }

  /** Sends a received frame as it is. */
  forward(bytes: Buffer, from: number, to: number): void {
    if (bytes === this.#bytes && from === this.#until) this.#until = to;
    else {
      this.flush();
      this.#bytes = bytes;
      this.#from = from;
      this.#until = to;
    }
  }

  send(frame: Buffer): void {
    if (this.#waiting !== undefined) {
      this.#waiting.push(frame);
      return;
    }
    this.flush();
    this.#wire.send(this.#to, frame);
  }

  headers(streamId: number, fields: readonly Http2Field[], endsStream: boolean, priority?: Buffer): void {
    const block = encodeFields(fields, this.tellsTable);
    this.tellsTable = false;
    this.send(headersFrames(streamId, block, endsStream, priority));
  }

  endTurn(): void {
    this.flush();
    this.turnBytes = 0;
  }

  flush(): void {
    const bytes = this.#bytes;
    const from = this.#from;
    const until = this.#until;
    // An idle connection must not hold on to its last receive buffer.
    this.#bytes = empty;
    this.#from = 0;
    this.#until = 0;
    if (until > from) this.#wire.send(this.#to, viewOf(bytes, from, until));
  }
}

const empty = Buffer.alloc(0);
