import type { Http2Field } from '../../codec/http2-field.ts';
import { commonFrameBytes, dataFrame, windowUpdateFrame } from '../../codec/http2-frames.ts';
import { otherSide, type Side } from '../../core/side.ts';
import type { Shortage } from './held-budget.ts';
import { StallClock } from './held-memory.ts';
import { BodyBlocks } from './http2-body-blocks.ts';
import type { Http2Connection } from './http2-connection.ts';
import type { Http2Stream } from './http2-stream.ts';
import { WindowAccount } from './http2-window.ts';

/** Fields of a head or of trailers, ready to be written. */
export interface FieldBlock {
  readonly fields: readonly Http2Field[];
  readonly priority: Buffer | undefined;
}

/**
 * A message, or bytes of a tunnel, that do not pass frame by frame: what came of it waits here until a verdict and the
 * windows of its receiver let it go, in frames of the gateway's own.
 */
export class HeldMessage {
  readonly connection: Http2Connection;
  readonly stream: Http2Stream;
  readonly to: Side;
  readonly #body: BodyBlocks;
  readonly #account = new WindowAccount();
  #head: FieldBlock | undefined;
  #trailers: FieldBlock | undefined;
  /** How many bytes at the end may not go on; with Infinity the head neither. */
  #keepBytes = 0;
  /** How many bytes at the front may. */
  #readyBytes = 0;
  #isEnded = false;
  #isOver = false;
  readonly #stall = new StallClock();

  constructor(connection: Http2Connection, stream: Http2Stream, to: Side, head?: FieldBlock) {
    this.connection = connection;
    this.stream = stream;
    this.to = to;
    this.#body = new BodyBlocks(connection.memory);
    this.#head = head;
    if (head === undefined) return;
    this.#keepBytes = Number.POSITIVE_INFINITY;
    if (to === 'origin') connection.heldHeads.add(this);
  }

  get from(): Side {
    return otherSide(this.to);
  }

  /** Whether nothing waits. */
  get isEmpty(): boolean {
    return this.#head === undefined && this.#body.length === 0 && !this.#isEnded;
  }

  get bodyBytes(): number {
    return this.#body.length;
  }

  /** Why there was no room last. */
  get shortage(): Shortage {
    return this.#body.shortage;
  }

  /** Whether DATA of the sender's could be passed on as it is. */
  fits(bytes: number): boolean {
    return bytes <= this.#room;
  }

  /** DATA has come and is not passed on as it is: its sender has spent so much of its windows. */
  took(windowBytes: number): void {
    this.#account.took(windowBytes);
    this.connection.windows[this.to].took(windowBytes);
  }

  /** It is passed on as it is after all. */
  passed(windowBytes: number): void {
    this.#account.sentBeside(windowBytes);
    this.connection.windows[this.to].sentBeside(windowBytes);
    this.stream.sentTo(this.to, windowBytes);
  }

  /** Puts bytes behind those that wait, and returns them where they lie; undefined when there is no room. */
  push(bytes: Buffer): Buffer | undefined {
    return bytes.length === 0 ? bytes : this.#body.push(bytes);
  }

  /** The same for bytes that stay where they lie. False when there is no room. */
  adopt(bytes: Buffer): boolean {
    return bytes.length === 0 || this.#body.adopt(bytes);
  }

  /** So many bytes at the end stay from now on; what was let go once stays free. */
  keep(bytes: number): void {
    this.#keepBytes = bytes;
    const more = this.#body.length - bytes - this.#readyBytes;
    if (more <= 0) return;
    this.#readyBytes += more;
    this.#account.readied(more);
    this.connection.windows[this.to].readied(more);
  }

  /** Takes out what waits and may not go on. */
  takeKept(): readonly Buffer[] {
    const parts: Buffer[] = [];
    while (this.#body.length > 0) parts.push(this.#body.shift(Number.POSITIVE_INFINITY));
    return parts;
  }

  /** Nothing comes behind what waits but these trailers. */
  end(trailers?: FieldBlock): void {
    this.#isEnded = true;
    this.#trailers = trailers;
  }

  /** Sends what may go on as far as the windows allow. */
  advance(): void {
    const { connection, stream, to } = this;
    if (this.#isOver) return;
    connection.waiting.delete(this);
    if (this.#head !== undefined) {
      if (this.#keepBytes === Number.POSITIVE_INFINITY) return;
      this.sendHead();
    }
    while (this.#readyBytes > 0) {
      const room = Math.min(this.#room, this.#readyBytes, commonFrameBytes);
      if (room <= 0 || !connection.to[to].takesMore) {
        connection.waiting.add(this);
        return;
      }
      const part = this.#body.shift(room);
      this.#readyBytes -= part.length;
      this.#stall.took(part.length);
      connection.to[to].turnBytes += part.length;
      this.#account.sent(part.length);
      connection.windows[to].sent(part.length);
      stream.sentTo(to, part.length);
      const isLast = this.#isAtEnd && this.#trailers === undefined;
      connection.to[to].send(dataFrame(stream.id, part, isLast));
      if (isLast) return this.done();
    }
    this.#stall.reset();
    if (this.#isAtEnd) this.#sendEnd();
  }

  /** What its receiver alone has kept here for a while; asked for about once a second, while it waits for that. */
  stalledBytes(nowMs: number): number {
    return this.#stall.stalledBytes(nowMs, this.#body.length);
  }

  /** Sends the head although the body may have to wait on. */
  sendHead(): void {
    const { connection, stream, to } = this;
    const head = this.#head;
    if (head === undefined) return;
    this.#head = undefined;
    connection.heldHeads.delete(this);
    if (to === 'origin') connection.openAtOrigin(stream, head.fields, false, head.priority);
    else {
      stream.isResponseBegun = true;
      connection.to.client.headers(stream.id, head.fields, false, head.priority);
    }
  }

  /** Gives the sender back what it has spent on what is kept. */
  refund(): void {
    const { connection, stream, to, from } = this;
    if (connection.isOver) return;
    const bytes = this.#account.takeRefund();
    // Padding of the last frame is due to the connection when the stream is over too.
    if (bytes > 0 && !this.#isOver && !stream.isDone(from))
      connection.to[from].send(windowUpdateFrame(stream.id, bytes));
    connection.credit(from, connection.windows[to].takeRefund());
  }

  /** The receiver has enlarged the stream's window. Returns what the sender may know of it. */
  enlarge(bytes: number): number {
    this.#account.grew(bytes);
    this.advance();
    return this.stream.isDone(this.from) ? 0 : this.#account.grant(bytes);
  }

  /** All of it has been sent, the end too. */
  done(): void {
    this.#isOver = true;
    this.connection.done(this.stream, this.to);
  }

  /** What waits is never sent. */
  drop(): void {
    if (this.#isOver) return;
    const { connection, from, to } = this;
    this.#isOver = true;
    connection.waiting.delete(this);
    connection.heldHeads.delete(this);
    this.#body.clear();
    connection.windows[to].dropped(this.#readyBytes);
    if (!connection.isOver) connection.credit(from, connection.windows[to].takeRefund());
  }

  get #room(): number {
    const { connection, stream, to } = this;
    const { left, initialWindow } = connection.windows[to];
    return Math.min(left, initialWindow + stream.roomOf(to));
  }

  /** Nothing is left but the end. */
  get #isAtEnd(): boolean {
    return this.#isEnded && this.#keepBytes === 0 && this.#body.length === 0;
  }

  #sendEnd(): void {
    const { connection, stream, to } = this;
    const trailers = this.#trailers;
    if (trailers === undefined) connection.to[to].send(dataFrame(stream.id, nothing, true));
    else connection.to[to].headers(stream.id, trailers.fields, true, trailers.priority);
    this.done();
  }
}

const nothing = Buffer.alloc(0);
