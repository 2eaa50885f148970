import { randomBytes } from 'node:crypto';
import { closeFrame } from '../../codec/websocket-frame.ts';
import type { FailureCode } from '../../core/failures.ts';
import type { Relay, Wire } from '../../core/relay.ts';
import { otherSide, type Side } from '../../core/side.ts';
import type { MessageInspector, WebSocketAgreement } from '../../core/websocket.ts';
import { type WebSocketRefusal, WebSocketStream } from './websocket-stream.ts';

export interface WebSocketOptions {
  readonly wire: Wire;
  readonly agreement: WebSocketAgreement;
  readonly messages: MessageInspector;
  /** Whose share of the memory it is that messages take which wait. */
  readonly shareKey: string;
  /** What came before there was this relay, and whether the client has ended behind it. */
  readonly early?: readonly { readonly from: Side; readonly bytes: Buffer }[];
  readonly isClientEnded?: boolean;
  /** What is received lies among bytes of others: what has to wait is copied, so that it does not hold on to them. */
  readonly isSharingBuffers?: boolean;
}

/**
 * Relays a WebSocket frame by frame: strict in what it accepts, verbatim in what it forwards. Works over any wire that
 * carries its bytes: a whole connection, or a stream of HTTP/2 (RFC 8441).
 */
export function createWebSocketRelay(options: WebSocketOptions): Relay {
  const relay = new WebSocketRelay(options);
  for (const { from, bytes } of options.early ?? []) relay.receive(from, bytes);
  if (options.isClientEnded) relay.end('client', true);
  return relay;
}

/** One direction: what reads it, and what came of it but may not be forwarded yet. */
interface Direction {
  readonly stream: WebSocketStream;
  /** Not read yet: the begin of a frame that must come whole. */
  unread: Buffer[];
  unreadBytes: number;
  /** Read, of a compressed message under way. */
  parked: Buffer[];
  isEnded: boolean;
}

class WebSocketRelay implements Relay {
  readonly #wire: Wire;
  readonly #messages: MessageInspector;
  readonly #directions: Readonly<Record<Side, Direction>>;
  readonly #isSharingBuffers: boolean;
  #isOver = false;

  constructor({ wire, agreement, messages, shareKey, isSharingBuffers = false }: WebSocketOptions) {
    this.#wire = wire;
    this.#isSharingBuffers = isSharingBuffers;
    this.#messages = messages;
    const from = (side: Side): Direction => ({
      stream: new WebSocketStream(side, shareKey, agreement, messages),
      unread: [],
      unreadBytes: 0,
      parked: [],
      isEnded: false,
    });
    this.#directions = { client: from('client'), origin: from('origin') };
  }

  receive(from: Side, bytes: Buffer): void {
    const direction = this.#directions[from];
    if (this.#isOver || direction.isEnded || bytes.length === 0) return;
    const whole = collected(direction, bytes, this.#isSharingBuffers);
    if (whole === undefined) return;
    const { stream } = direction;
    const readTo = stream.consume(whole);
    this.#forward(otherSide(from), direction, whole, readTo);
    if (stream.refusal !== undefined) this.#refuse(from, stream.refusal);
    else if (readTo < whole.length) keepUnread(direction, this.#lasting(whole.subarray(readTo)));
  }

  /** RFC 6455 section 7.1.1: after both Close frames the connection ends; without them it was broken off. */
  end(from: Side, clean: boolean): void {
    const direction = this.#directions[from];
    if (this.#isOver || direction.isEnded) return;
    direction.isEnded = true;
    const { client, origin } = this.#directions;
    const isWhole = clean && direction.unreadBytes === 0 && !direction.stream.isWithinMessage;
    if (!isWhole) {
      const code = from === 'client' ? 'CLIENT_GONE' : 'ORIGIN_GONE';
      this.#abort(code, 'the WebSocket was cut');
    } else if (client.isEnded && origin.isEnded) {
      this.#over(undefined, '');
      this.#wire.close();
    } else this.#wire.end(otherSide(from));
  }

  cut(code: FailureCode, detail: string): void {
    if (!this.#isOver) this.#over(code, detail);
  }

  tick(nowMs: number): void {
    if (!this.#isOver) this.#messages.tick(nowMs);
  }

  /** Both sides have said that they close: an end now cuts nothing. */
  idle(): boolean {
    return this.#directions.client.stream.isClosed && this.#directions.origin.stream.isClosed;
  }

  #forward(to: Side, direction: Direction, bytes: Buffer, readTo: number): void {
    const { stream, parked } = direction;
    const { isHolding } = stream;
    const freeTo = isHolding ? stream.holdFrom : readTo;
    if (!isHolding || freeTo > 0) {
      for (const part of parked) this.#wire.send(to, part);
      direction.parked = [];
    }
    if (freeTo > 0) this.#wire.send(to, freeTo === bytes.length ? bytes : bytes.subarray(0, freeTo));
    if (isHolding && readTo > freeTo) direction.parked.push(this.#lasting(bytes.subarray(freeTo, readTo)));
  }

  #lasting(bytes: Buffer): Buffer {
    return this.#isSharingBuffers ? Buffer.from(bytes) : bytes;
  }

  /** Ends the WebSocket with a Close frame to both, where one may stand; else visibly broken. */
  #refuse(from: Side, refusal: WebSocketRefusal): void {
    const { code, detail, closeCode, reason } = endingOf(from, refusal);
    const { client, origin } = this.#directions;
    const isMidFrame = client.stream.isWithinFrame || origin.stream.isWithinFrame;
    if (isMidFrame || (refusal.kind === 'rule' && refusal.verdict === 'reset')) return this.#abort(code, detail);
    this.#over(code, detail);
    // What comes from the origin goes to the client: its stream tells what the client has seen.
    if (!origin.stream.isClosed) this.#wire.send('client', closeFrame(closeCode, reason, undefined));
    if (!client.stream.isClosed) this.#wire.send('origin', closeFrame(closeCode, reason, randomBytes(4)));
    this.#wire.close(code, detail);
  }

  #abort(code: FailureCode, detail: string): void {
    this.#over(code, detail);
    this.#wire.abort(code, detail);
  }

  #over(code: FailureCode | undefined, detail: string): void {
    this.#isOver = true;
    for (const direction of Object.values(this.#directions)) {
      direction.stream.release();
      direction.parked = [];
      direction.unread = [];
    }
    this.#messages.finish(code, detail);
  }
}

/** What was not read yet with what came now; undefined while that is not enough. */
function collected(direction: Direction, bytes: Buffer, isSharingBuffers: boolean): Buffer | undefined {
  if (direction.unreadBytes === 0) return bytes;
  const isEnough = direction.unreadBytes + bytes.length >= direction.stream.needBytes;
  keepUnread(direction, isSharingBuffers && !isEnough ? Buffer.from(bytes) : bytes);
  if (!isEnough) return undefined;
  const whole = Buffer.concat(direction.unread);
  direction.unread = [];
  direction.unreadBytes = 0;
  return whole;
}

function keepUnread(direction: Direction, bytes: Buffer): void {
  direction.unread.push(bytes);
  direction.unreadBytes += bytes.length;
}

interface Ending {
  readonly code: FailureCode;
  readonly detail: string;
  /** RFC 6455 section 7.4.1. */
  readonly closeCode: number;
  readonly reason: string;
}

function endingOf(from: Side, refusal: WebSocketRefusal): Ending {
  const fault = from === 'client' ? 'CLIENT' : 'ORIGIN';
  switch (refusal.kind) {
    case 'rule': {
      const { id } = refusal.rule;
      const code = refusal.verdict === 'block' ? 'POLICY_RULE_BLOCK' : 'POLICY_RULE_RESET';
      return { code, detail: `rule ${id}`, closeCode: 1008, reason: `blocked by rule ${id}` };
    }
    case 'refused':
      return ending(refusal.code, refusal.detail, 1008);
    case 'malformed':
      return ending(`${fault}_WEBSOCKET_MALFORMED`, refusal.detail, 1002);
    case 'no-text':
      return ending(`${fault}_WEBSOCKET_MALFORMED`, refusal.detail, 1007);
    case 'too-large':
      return ending(`${fault}_WEBSOCKET_TOO_LARGE`, refusal.detail, 1009);
    case 'overloaded':
      return ending('GATEWAY_OVERLOADED', refusal.detail, 1013);
  }
}

function ending(code: FailureCode, detail: string, closeCode: number): Ending {
  return { code, detail, closeCode, reason: code };
}
