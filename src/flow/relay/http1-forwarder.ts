import { FlowFailure } from '../../core/failures.ts';
import { limits } from '../../core/limits.ts';
import type { Wire } from '../../core/relay.ts';
import type { Side } from '../../core/side.ts';
import { keptBytes, type Verdict } from '../../core/verdict.ts';
import type { Shortage } from './held-budget.ts';
import { shortageRefusal } from './held-memory.ts';
import { HeldPieces } from './held-pieces.ts';
import type { Pipeline, Refusal } from './http1-pipeline.ts';
import type { ReleasedBytes } from './http1-released.ts';

/**
 * Sends on what was judged: the received bytes themselves, as few and as large views as possible. Judged bytes wait until
 * their chunk is done, so that a message that is refused in the chunk in which it began leaves nothing behind.
 */
export class Forwarder {
  readonly #pipeline: Pipeline;
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
  /** What was held and let go, and what follows it, as far as the side has not taken it. */
  #waiting: ReleasedBytes | undefined;

  constructor(pipeline: Pipeline, to: Side) {
    this.#pipeline = pipeline;
    this.#wire = pipeline.wire;
    this.#to = to;
  }

  /** Whether something waits for the side to take it: the sender pauses, and nothing may overtake it. */
  get isWaiting(): boolean {
    return this.#waiting?.isEmpty === false;
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

  /**
   * Keeps so much of the end of the present message from now on as the verdict says, or sends on what was kept. Tells how
   * the message is to be refused for which there is no room while its receiver does not take it.
   */
  keep(verdict: Verdict): Refusal | undefined {
    this.#keepBytes = keptBytes(verdict);
    if (this.#keepBytes > 0 || this.#held === undefined) return undefined;
    const shortage = this.#release(this.#held.takeAll());
    this.#held = undefined;
    return shortage && shortageRefusal(shortage);
  }

  /** Calls `taken`, and nothing that was to be called before, once the side has taken what waits for it. */
  afterTaken(taken: () => void): void {
    if (this.#waiting === undefined) return;
    this.#waiting.onTaken = taken;
    // How much it takes at once is known behind this turn.
    this.#pipeline.soon(() => this.#pipeline.advance(this.#to));
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
    const shortage = this.#release(held.takeUpTo(bodyBytes - this.#keepBytes));
    if (shortage !== undefined) throw failureOf(shortage);
  }

  /** Lets go what was held: a large message goes as the side takes it. */
  #release(pieces: readonly Buffer[]): Shortage | undefined {
    let bytes = 0;
    for (const piece of pieces) bytes += piece.length;
    if (!this.isWaiting && bytes > limits.sendBufferBytes) {
      this.#waiting ??= this.#pipeline.waitingFor(this.#to);
      const shortage = this.#waiting.push(pieces);
      if (shortage !== undefined) return shortage;
      // The wire learns at the end of a turn what was sent in it, and only then how much the side takes.
      this.#waiting.advance(limits.sendBufferBytes);
    } else for (const piece of pieces) this.#pass(piece);
    if (bytes > 0) this.#isBegun = true;
    return undefined;
  }

  #pass(bytes: Buffer): void {
    const waiting = this.#waiting;
    if (waiting === undefined || waiting.isEmpty) return this.#wire.send(this.#to, bytes);
    const shortage = waiting.push([bytes]);
    if (shortage !== undefined) throw failureOf(shortage);
  }

  #send(to: number): void {
    const bytes = this.#bytes;
    for (const part of this.#parts) this.#pass(part);
    this.#parts.length = 0;
    if (to > this.#from) this.#pass(viewOf(bytes, this.#from, to));
    // An idle connection must not hold on to its last receive buffer.
    this.#bytes = empty;
    this.#from = 0;
  }
}

const empty = Buffer.alloc(0);

function failureOf(shortage: Shortage): FlowFailure {
  const { code, detail } = shortageRefusal(shortage);
  return new FlowFailure(code, detail);
}

/** A view of received bytes, which are their own view where it would cover them all. */
export function viewOf(bytes: Buffer, from: number, to: number): Buffer {
  return from === 0 && to === bytes.length ? bytes : bytes.subarray(from, to);
}
