import { commonFrameBytes, dataFrame } from '../../codec/http2-frames.ts';
import { limits } from '../../core/limits.ts';
import type { Http2Outgoing } from './http2-outgoing.ts';
import type { ConnectionWindow } from './http2-window.ts';

/** An answer of the gateway whose body waits for the client's window. */
interface WaitingAnswer {
  body: Buffer;
  /** What the stream's window has grown by, less what was sent. */
  credit: number;
  readonly onSent: () => void;
}

/** Answers of the gateway itself, sent as the windows of the client allow. The origin knows nothing of what they take. */
export class WaitingAnswers {
  readonly #out: Http2Outgoing;
  readonly #window: ConnectionWindow;
  readonly #waiting = new Map<number, WaitingAnswer>();

  constructor(out: Http2Outgoing, window: ConnectionWindow) {
    this.#out = out;
    this.#window = window;
  }

  get isEmpty(): boolean {
    return this.#waiting.size === 0;
  }

  /** Sends the body of an answer as the windows allow. False when too many wait already. */
  add(streamId: number, body: Buffer, credit: number, onSent: () => void): boolean {
    if (this.#waiting.size >= limits.http2Streams) return false;
    const answer: WaitingAnswer = { body, credit, onSent };
    this.#waiting.set(streamId, answer);
    this.#advance(streamId, answer);
    return true;
  }

  /** The window of a stream was enlarged, which may belong to a waiting answer. */
  enlarge(streamId: number, bytes: number): void {
    const answer = this.#waiting.get(streamId);
    if (answer === undefined) return;
    answer.credit += bytes;
    this.#advance(streamId, answer);
  }

  forget(streamId: number): void {
    this.#waiting.delete(streamId);
  }

  /** Goes on with what waits, after a window has grown. */
  advance(): void {
    for (const [streamId, answer] of this.#waiting) this.#advance(streamId, answer);
  }

  #advance(streamId: number, answer: WaitingAnswer): void {
    const { left, initialWindow } = this.#window;
    let room = Math.min(left, initialWindow + answer.credit);
    while (answer.body.length > 0) {
      const bytes = Math.min(answer.body.length, room, commonFrameBytes);
      if (bytes <= 0) return;
      const isLast = bytes === answer.body.length;
      this.#out.send(dataFrame(streamId, answer.body.subarray(0, bytes), isLast));
      answer.body = answer.body.subarray(bytes);
      answer.credit -= bytes;
      room -= bytes;
      this.#window.sentBeside(bytes);
    }
    this.#waiting.delete(streamId);
    answer.onSent();
  }
}
