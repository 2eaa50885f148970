import type { Wire } from '../../core/relay.ts';
import type { Side } from '../../core/side.ts';
import { keptBytes, type Verdict } from '../../core/verdict.ts';
import { HeldPieces } from './held-pieces.ts';

/**
 * Sends on what was judged: the received bytes themselves, as few and as large views as possible. Judged bytes wait until
 * their chunk is done, so that a message that is refused in the chunk in which it began leaves nothing behind.
 */
export class Forwarder {
  readonly #wire: Wire;
  readonly #to: Side;
  #bytes: Buffer = empty;
  /** Start of what is judged but neither sent nor among the parts. */
  #from = 0;
  /** What goes before `#from`: only filled where something was left out or replaced. */
  readonly #parts: Buffer[] = [];
  /** Where the present message begins in the chunk and among the parts. */
  #messageFrom = 0;
  #messageParts = 0;
  #isBegun = false;
  /** Body bytes of the present message that stay here until they are released; 0 when it is not held. */
  #keepBytes = 0;
  #held: HeldPieces | undefined;

  constructor(wire: Wire, to: Side) {
    this.#wire = wire;
    this.#to = to;
  }

  /** Whether a byte of the present message was sent. */
  get isBegun(): boolean {
    return this.#isBegun;
  }

  /** Takes a chunk up. The message that was going on goes on. */
  open(bytes: Buffer): void {
    this.#bytes = bytes;
    this.#from = 0;
    this.#messageFrom = 0;
    this.#messageParts = 0;
  }

  startMessage(at: number): void {
    this.#keepBytes = 0;
    this.#messageFrom = at;
    this.#messageParts = this.#parts.length;
    this.#isBegun = false;
  }

  /** Leaves bytes of the chunk out. */
  skip(at: number, resumeAt: number): void {
    const message = this.#messageFrom;
    if (this.#from < message && message <= at) {
      this.#parts.push(this.#bytes.subarray(this.#from, message));
      this.#messageParts = this.#parts.length;
      this.#from = message;
    }
    if (at > this.#from) this.#parts.push(this.#bytes.subarray(this.#from, at));
    this.#from = resumeAt;
  }

  /** Sends `part` in place of bytes of the chunk. */
  replace(at: number, resumeAt: number, part: Buffer): void {
    this.skip(at, resumeAt);
    this.#parts.push(part);
  }

  /** Keeps so much of the end of the present message from now on as the verdict says, or sends on what was kept. */
  keep(verdict: Verdict): void {
    this.#keepBytes = keptBytes(verdict);
    if (this.#keepBytes > 0 || this.#held === undefined) return;
    if (this.#held.sendAll(this.#wire, this.#to)) this.#isBegun = true;
    this.#held = undefined;
  }

  /** Sends what was judged, which is all before `to`, and lets the chunk go. `bodyBytes` of the present message passed so far. */
  close(to: number, bodyBytes = 0): void {
    if (this.#bytes === empty) return;
    if (this.#keepBytes > 0) {
      this.#hold(to, bodyBytes);
      return;
    }
    // What was left out, such as the begin of a head that comes in pieces, is not sent.
    const isSent = to > this.#messageFrom && to > this.#from;
    if (isSent || this.#parts.length > this.#messageParts) this.#isBegun = true;
    this.#send(to);
  }

  /** Lets the chunk go without the part of the present message that lies in it. */
  discardMessage(): void {
    this.#held = undefined;
    this.#keepBytes = 0;
    if (this.#bytes === empty) return;
    this.#parts.length = this.#messageParts;
    this.#send(this.#messageFrom);
  }

  #hold(to: number, bodyBytes: number): void {
    const held = this.#held ?? new HeldPieces();
    this.#held = held;
    for (const part of this.#parts.splice(this.#messageParts)) held.push(part, bodyBytes);
    // What goes before the message is not held with it.
    const from = Math.max(this.#from, this.#messageFrom);
    if (to > from) held.push(viewOf(this.#bytes, from, to), bodyBytes);
    this.#send(Math.min(from, to));
    if (held.sendUpTo(bodyBytes - this.#keepBytes, this.#wire, this.#to)) this.#isBegun = true;
  }

  #send(to: number): void {
    const bytes = this.#bytes;
    for (const part of this.#parts) this.#wire.send(this.#to, part);
    this.#parts.length = 0;
    if (to > this.#from) {
      this.#wire.send(this.#to, viewOf(bytes, this.#from, to));
    }
    // An idle connection must not hold on to its last receive buffer.
    this.#bytes = empty;
    this.#from = 0;
  }
}

const empty = Buffer.alloc(0);

/** A view of received bytes, which are their own view where it would cover them all. */
export function viewOf(bytes: Buffer, from: number, to: number): Buffer {
  return from === 0 && to === bytes.length ? bytes : bytes.subarray(from, to);
}
