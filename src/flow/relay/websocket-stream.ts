import { Utf8Stream } from '../../codec/utf8-stream.ts';
import { closeFault } from '../../codec/websocket-close.ts';
import { FrameReader, opcodes, unmaskBytes, unmasked } from '../../codec/websocket-frame.ts';
import { MessageInflater } from '../../codec/websocket-inflate.ts';
import type { FailureCode } from '../../core/failures.ts';
import { limits } from '../../core/limits.ts';
import type { Side } from '../../core/side.ts';
import type { RuleRef } from '../../core/verdict.ts';
import type { MessageInspector, MessageType, WebSocketAgreement } from '../../core/websocket.ts';
import { HeldBudget, mostOf } from './held-budget.ts';

/** Why a WebSocket ends before its peers end it. */
export type WebSocketRefusal =
  | { readonly kind: 'rule'; readonly verdict: 'block' | 'reset'; readonly rule: RuleRef }
  | { readonly kind: 'refused'; readonly code: FailureCode; readonly detail: string }
  | { readonly kind: 'malformed' | 'no-text' | 'too-large' | 'overloaded'; readonly detail: string };

/** What waits for the end of a compressed message, in all WebSockets of this process, and what of it each client has. */
const held = new HeldBudget();
const most = mostOf(limits.webSocketCompressedTotalBytes);
/** What a held piece costs beside its bytes: frames without content, and content byte by byte, are not held for nothing. */
const heldPieceBytes = 256;

/**
 * One direction of a WebSocket: cuts its bytes into frames, has each judged, and says how much of what came may be
 * forwarded as it is. Frames of up to 16 KiB are forwarded whole or not at all; compressed messages too.
 */
export class WebSocketStream {
  readonly #from: Side;
  readonly #shareKey: string;
  readonly #messages: MessageInspector;
  readonly #frame: FrameReader;
  readonly #text = new Utf8Stream();
  readonly #inflater: MessageInflater | undefined;
  /** The message under way; undefined between messages. */
  #type: MessageType | undefined;
  #isCompressed = false;
  #compressed: Buffer[] = [];
  #compressedBytes = 0;
  /** What is held beside it: pieces as such, frame headers, control frames in between. */
  #pieceBytes = 0;
  /** Payload of the present frame that is yet to come, and how much of it came. */
  #left = 0;
  #phase = 0;
  #needBytes = 0;
  #holdFrom = 0;
  refusal: WebSocketRefusal | undefined;
  /** A Close frame passed: nothing may follow it (RFC 6455 section 5.5.1). */
  isClosed = false;

  /** `shareKey` is the one whose share of the memory it is. */
  constructor(from: Side, shareKey: string, agreement: WebSocketAgreement, messages: MessageInspector) {
    this.#from = from;
    this.#shareKey = shareKey;
    this.#messages = messages;
    this.#frame = new FrameReader(from);
    const { deflate } = agreement;
    this.#inflater = deflate === undefined ? undefined : new MessageInflater(deflate.keepsContext[from]);
  }

  /** Bytes that must be there, from the end of what was read, before another look is worth it. */
  get needBytes(): number {
    return this.#needBytes;
  }

  /** Whether what was forwarded ends within a frame: nothing can be put behind it. */
  get isWithinFrame(): boolean {
    return this.#left > 0 && !this.isHolding;
  }

  get isWithinMessage(): boolean {
    return this.#type !== undefined;
  }

  /** A compressed message is under way: it is forwarded when it was judged as a whole. */
  get isHolding(): boolean {
    return this.#type !== undefined && this.#isCompressed;
  }

  /** Where that message begins in the bytes that were read last; 0 when it began before them. */
  get holdFrom(): number {
    return this.#holdFrom;
  }

  /** Reads what came; returns the end of what was read. Stops at what is refused, or needs more bytes. */
  consume(bytes: Buffer): number {
    let at = 0;
    this.#holdFrom = 0;
    // What comes is held as one piece, however small.
    if (this.isHolding) this.#keep(heldPieceBytes);
    while (at < bytes.length && this.refusal === undefined) {
      if (this.#left > 0) {
        at = this.#readPayload(bytes, at);
        continue;
      }
      const after = this.#readFrame(bytes, at);
      if (after === at) return at;
      at = after;
    }
    this.#needBytes = 0;
    return at;
  }

  /** Lets go of what is held. */
  release(): void {
    held.give(this.#shareKey, this.#compressedBytes + this.#pieceBytes);
    this.#compressed = [];
    this.#compressedBytes = 0;
    this.#pieceBytes = 0;
  }

  /** Returns the end of the frame or of what came of it, or where it begins when it is refused or must come whole. */
  #readFrame(bytes: Buffer, at: number): number {
    const start = this.#readHeader(bytes, at);
    if (start === 0) return at;
    if (bytes.length - start < this.#frame.length && !this.#mayPassInPieces()) {
      this.#needBytes = start - at + this.#frame.length;
      return at;
    }
    if (this.isHolding) this.#keep(start - at + (this.#frame.isControl ? this.#frame.length : 0));
    const after = this.#beginFrame(at) ? this.#readPayload(bytes, start) : at;
    if (this.refusal === undefined) return after;
    // Nothing of it is forwarded.
    this.#left = 0;
    return at;
  }

  #mayPassInPieces(): boolean {
    return !this.#frame.isControl && this.#frame.length > limits.webSocketHeldFrameBytes;
  }

  /** Returns where the payload begins, or 0 when more bytes are needed or the frame is refused. */
  #readHeader(bytes: Buffer, at: number): number {
    const header = this.isClosed ? 0 : this.#frame.read(bytes, at);
    if (header > 0) return at + header;
    if (this.isClosed) this.#malformed('a frame behind the Close frame');
    else if (this.#frame.fault !== '') this.#malformed(this.#frame.fault);
    this.#needBytes = bytes.length - at + 1;
    return 0;
  }

  /** Checks a frame against the message that it belongs to; false when it is refused. */
  #beginFrame(at: number): boolean {
    const frame = this.#frame;
    this.#left = frame.length;
    this.#phase = 0;
    if (frame.isControl) return true;
    if (frame.opcode === opcodes.continuation) {
      if (this.#type === undefined) return this.#malformed('a continuation of no message');
      // RFC 7692 section 6: only the first frame of a message says that it is compressed.
      if (frame.isCompressed) return this.#malformed('a compression bit within a message');
      return this.#mayKeep(frame.length);
    }
    if (this.#type !== undefined) return this.#malformed('a message within a message');
    if (frame.isCompressed && this.#inflater === undefined) {
      return this.#malformed('a compressed message that was not agreed on');
    }
    if (frame.isCompressed) this.#holdFrom = at;
    return this.#beginMessage(frame.opcode === opcodes.text ? 'text' : 'binary');
  }

  #beginMessage(type: MessageType): boolean {
    const { isCompressed, isFinal, length } = this.#frame;
    this.#type = type;
    this.#isCompressed = isCompressed;
    const bytes = isCompressed || !isFinal ? undefined : length;
    return this.#judged(this.#messages.begin(this.#from, { type, isCompressed, bytes })) && this.#mayKeep(length);
  }

  /** A compressed message waits for its end: its length is bounded before it comes. */
  #mayKeep(length: number): boolean {
    if (!this.#isCompressed) return true;
    if (this.#compressedBytes + length > limits.webSocketCompressedBytes) {
      this.#refuse({ kind: 'too-large', detail: `more than ${limits.webSocketCompressedBytes} bytes compressed` });
    } else if (held.shortage(this.#shareKey, length, most) !== undefined) {
      this.#refuse({ kind: 'overloaded', detail: 'too many compressed WebSocket messages under way' });
    }
    return this.refusal === undefined;
  }

  /** Counts what is held beside the content. */
  #keep(bytes: number): void {
    this.#pieceBytes += bytes;
    held.take(this.#shareKey, bytes);
    if (this.#pieceBytes <= limits.webSocketCompressedBytes) return;
    this.#refuse({ kind: 'too-large', detail: 'a compressed message in too many pieces' });
  }

  #readPayload(bytes: Buffer, at: number): number {
    const end = Math.min(bytes.length, at + this.#left);
    for (let from = at; from < end && this.refusal === undefined; from += unmaskBytes) {
      this.#readPiece(bytes, from, Math.min(end, from + unmaskBytes));
    }
    if (this.refusal !== undefined) return at;
    this.#left -= end - at;
    if (this.#left === 0) this.#endFrame(bytes, at, end);
    return end;
  }

  #readPiece(bytes: Buffer, from: number, to: number): void {
    const { mask, isControl } = this.#frame;
    if (isControl) return;
    const piece = mask === 0 ? bytes.subarray(from, to) : unmasked(bytes, from, to, mask, this.#phase);
    this.#phase += to - from;
    if (this.#isCompressed) {
      // The piece may be a view that is used again.
      this.#compressed.push(Buffer.from(piece));
      this.#compressedBytes += piece.length;
      held.take(this.#shareKey, piece.length);
      this.#keep(heldPieceBytes);
    } else this.#judgeContent(piece);
  }

  #judgeContent(content: Buffer): void {
    if (content.length === 0) return;
    if (this.#type === 'text' && !this.#text.push(content)) this.#refuse(noText);
    else this.#judged(this.#messages.content(this.#from, content));
  }

  #endFrame(bytes: Buffer, at: number, end: number): void {
    const { isControl, isFinal } = this.#frame;
    if (isControl) this.#endControl(bytes, at, end);
    else if (isFinal) this.#endMessage();
  }

  #endControl(bytes: Buffer, at: number, end: number): void {
    const { opcode, mask } = this.#frame;
    this.#messages.control(this.#from);
    if (opcode !== opcodes.close) return;
    const fault = closeFault(unmasked(bytes, at, end, mask, 0));
    if (fault === '') this.isClosed = true;
    else this.#malformed(fault);
  }

  #endMessage(): void {
    if (this.#isCompressed) this.#inflate();
    if (this.refusal !== undefined) return;
    if (this.#type === 'text' && !this.#text.end()) return this.#refuse(noText);
    this.#judged(this.#messages.end(this.#from));
    this.#type = undefined;
  }

  #inflate(): void {
    const inflated = this.#inflater?.inflate(Buffer.concat(this.#compressed));
    this.release();
    if (inflated?.kind === 'inflated') this.#judgeContent(inflated.bytes);
    else if (inflated?.kind === 'too-large') this.#refuse({ kind: 'too-large', detail: 'inflated beyond all measure' });
    else this.#malformed(inflated?.detail ?? '');
  }

  #judged(verdict: ReturnType<MessageInspector['end']>): boolean {
    if (verdict.kind === 'allow') return true;
    if (verdict.kind === 'refuse') this.#refuse({ ...verdict, kind: 'refused' });
    else this.#refuse({ kind: 'rule', verdict: verdict.kind, rule: verdict.rule });
    return false;
  }

  #malformed(detail: string): false {
    this.#refuse({ kind: 'malformed', detail });
    return false;
  }

  #refuse(refusal: WebSocketRefusal): void {
    this.refusal ??= refusal;
  }
}

const noText: WebSocketRefusal = { kind: 'no-text', detail: 'a text message that is no UTF-8' };
