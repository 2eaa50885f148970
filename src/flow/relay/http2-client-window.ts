import { commonFrameBytes, dataFrame } from '../../codec/http2-frames.ts';
import { initialSettings } from '../../codec/http2-settings.ts';
import { limits } from '../../core/limits.ts';
import type { Http2Outgoing } from './http2-outgoing.ts';

/** An answer of the gateway whose body waits for the client's window. */
interface WaitingAnswer {
  body: Buffer;
  /** What the stream's window has grown by, less what was sent. */
  credit: number;
  readonly onSent: () => void;
}

/**
 * The windows of the client as they are, which the origin believes larger when the gateway has put pages of its own into
 * them: what it sends beyond is held, and later updates are kept from it until both views agree again.
 */
export class ClientWindow {
  readonly #out: Http2Outgoing;
  readonly #waiting = new Map<number, WaitingAnswer>();
  #left = initialSettings.initialWindow;
  #debt = 0;
  /** Window that a stream starts with: the least of what the client has said and not had acknowledged. */
  initialWindow = initialSettings.initialWindow;

  constructor(out: Http2Outgoing) {
    this.#out = out;
  }

  get left(): number {
    return this.#left;
  }

  /** Whether answers wait, which no longer have a stream. */
  get isBusy(): boolean {
    return this.#waiting.size > 0;
  }

  /** Whether DATA of the origin does not fit into what the client has left. */
  mustHold(bytes: number): boolean {
    return this.#debt > 0 && bytes > this.#left;
  }

  /** DATA of the origin is sent to the client. */
  use(bytes: number): void {
    this.#left -= bytes;
  }

  /** The client has enlarged the window of the connection. Returns what the origin may know of it. */
  enlarge(bytes: number): number {
    this.#left += bytes;
    const kept = Math.min(this.#debt, bytes);
    this.#debt -= kept;
    return bytes - kept;
  }

  /** Whether the stream belongs to a waiting answer, whose window was enlarged then. */
  enlargeStream(streamId: number, bytes: number): boolean {
    const answer = this.#waiting.get(streamId);
    if (answer === undefined) return false;
    answer.credit += bytes;
    this.#advance(streamId, answer);
    return true;
  }

  /** Sends the body of an answer as the windows allow. False when too many wait already. */
  answer(streamId: number, body: Buffer, credit: number, onSent: () => void): boolean {
    if (this.#waiting.size >= limits.http2Streams) return false;
    const answer: WaitingAnswer = { body, credit, onSent };
    this.#waiting.set(streamId, answer);
    this.#advance(streamId, answer);
    return true;
  }

  forget(streamId: number): void {
    this.#waiting.delete(streamId);
  }

  /** Goes on with what waits, after a window has grown. */
  advance(): void {
    if (this.#waiting.size === 0) return;
    for (const [streamId, answer] of this.#waiting) this.#advance(streamId, answer);
  }

  #advance(streamId: number, answer: WaitingAnswer): void {
    while (answer.body.length > 0) {
      const bytes = Math.min(answer.body.length, this.#left, this.initialWindow + answer.credit, commonFrameBytes);
      if (bytes <= 0) return;
      const isLast = bytes === answer.body.length;
      this.#out.send(dataFrame(streamId, answer.body.subarray(0, bytes), isLast));
      answer.body = answer.body.subarray(bytes);
      answer.credit -= bytes;
      this.#left -= bytes;
      this.#debt += bytes;
    }
    this.#waiting.delete(streamId);
    answer.onSent();
  }
}
