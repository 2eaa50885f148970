import { connect, type Socket } from 'node:net';
import { IcapAnswerReader } from '../codec/icap-answer.ts';
import type { IcapAnswerHead } from '../codec/icap-answer-head.ts';
import { FlowFailure } from '../core/failures.ts';
import { limits } from '../core/limits.ts';

export interface IcapAnswer {
  readonly head: IcapAnswerHead;
  /** First line of the HTTP message in it; empty where there is none. */
  readonly startLine: string;
}

export interface AnswerWishes {
  readonly signal: AbortSignal;
  /** Takes the body of the HTTP message in the answer; true ends the waiting, since enough is known. */
  readonly body: (chunk: Buffer) => boolean;
}

/** One connection to a content scanner: one request at a time. Nothing of it is used again once something went wrong. */
export class IcapConnection {
  readonly #socket: Socket;
  /** An answer was read on it before: what breaks now may only have been idle too long. */
  isUsed = false;
  #isBegun = false;

  /** Rejects with the reason of the signal, or GATEWAY_SCANNER_UNREACHABLE. */
  static open(host: string, port: number, signal: AbortSignal): Promise<IcapConnection> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host, port, noDelay: true });
      const settle = (): void => {
        signal.removeEventListener('abort', onAbort);
        socket.off('error', onError).off('connect', onConnect);
      };
      const fail = (error: unknown): void => {
        settle();
        socket.on('error', () => {}).destroy();
        reject(error);
      };
      const onAbort = (): void => fail(signal.reason);
      const onError = (error: NodeJS.ErrnoException): void => fail(unreachable(error.code ?? 'error'));
      const onConnect = (): void => {
        settle();
        resolve(new IcapConnection(socket));
      };
      socket.on('error', onError).on('connect', onConnect);
      if (signal.aborted) onAbort();
      else signal.addEventListener('abort', onAbort);
    });
  }

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('error', () => {});
    // Whoever speaks or ends without being asked is not asked again.
    socket.on('data', () => this.#isBegun || socket.destroy()).on('end', () => socket.destroy());
    socket.on('timeout', () => socket.destroy());
  }

  get isOpen(): boolean {
    return !this.#socket.destroyed;
  }

  /** Whether a byte of the present answer came. */
  get isAnswering(): boolean {
    return this.#isBegun && this.#socket.bytesRead > this.#bytesBefore;
  }
  #bytesBefore = 0;

  begin(): void {
    this.#isBegun = true;
    this.#bytesBefore = this.#socket.bytesRead;
    this.#socket.setTimeout(0);
    this.#socket.ref();
  }

  /** Keeps the connection for later: it holds no process up. */
  rest(): void {
    this.isUsed = true;
    this.#isBegun = false;
    this.#socket.setTimeout(limits.scannerIdleMs);
    this.#socket.unref();
  }

  close(): void {
    this.#socket.destroy();
  }

  send(pieces: readonly Buffer[]): void {
    this.#socket.cork();
    for (const piece of pieces) this.#socket.write(piece);
    this.#socket.uncork();
  }

  /** Reads one answer. Rejects with the reason of the signal, GATEWAY_SCANNER_UNREACHABLE or GATEWAY_SCANNER_FAILED. */
  answer({ signal, body }: AnswerWishes): Promise<IcapAnswer> {
    const socket = this.#socket;
    return new Promise((resolve, reject) => {
      let isEnough = false;
      const reader = new IcapAnswerReader((chunk) => {
        isEnough ||= body(chunk);
      });
      const settle = (): void => {
        signal.removeEventListener('abort', onAbort);
        socket.off('data', onData).off('close', onClose);
      };
      const fail = (error: unknown): void => {
        settle();
        socket.destroy();
        reject(error);
      };
      const onAbort = (): void => fail(signal.reason);
      const onClose = (): void => fail(unreachable('connection closed'));
      const onData = (bytes: Buffer): void => {
        const taken = reader.push(bytes);
        if (reader.fault !== undefined) return fail(new FlowFailure('GATEWAY_SCANNER_FAILED', reader.fault));
        const { head } = reader;
        if (head === undefined || !(reader.isComplete || isEnough)) return;
        settle();
        // Nothing may follow an answer: what does could pass for the answer to another message.
        if (taken < bytes.length || isEnough || !head.isPersistent) socket.destroy();
        resolve({ head, startLine: reader.startLine });
      };
      if (socket.destroyed) return onClose();
      if (signal.aborted) return onAbort();
      signal.addEventListener('abort', onAbort);
      socket.on('data', onData).on('close', onClose);
    });
  }
}

function unreachable(detail: string): FlowFailure {
  return new FlowFailure('GATEWAY_SCANNER_UNREACHABLE', detail);
}
