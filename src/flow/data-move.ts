import type { Duplex } from 'node:stream';
import type { FailureCode } from '../core/failures.ts';
import { limits } from '../core/limits.ts';
import type { FileTransfer } from '../core/transfer.ts';
import { type AllowVerdict, keptBytes, type Verdict } from '../core/verdict.ts';
import { collectYoung } from '../metrics/young-memory.ts';
import { isCutShort } from '../net/watched-transport.ts';
import type { DataOutcome } from './relay/ftp-options.ts';

export interface MoveOptions {
  readonly source: Duplex;
  readonly sink: Duplex;
  readonly direction: 'upload' | 'download';
  readonly transfer: FileTransfer;
  /** Called with each chunk. */
  readonly moved: () => void;
}

/** Bytes that have passed since memory was given back; of all transfers of the process. */
let sinceCollected = 0;
const collectEveryBytes = 8_388_608;

/**
 * Copies a file from one leg to the other as it is judged. The last chunk waits for the verdict on the whole, so that what
 * is blocked at its end never arrives in full. Never rejects; after a failure both legs are the caller's to cut.
 */
export function moveFile(options: MoveOptions): Promise<DataOutcome> {
  return new Promise((resolve) => new Move(options, resolve).start());
}

class Move {
  readonly #options: MoveOptions;
  readonly #resolve: (outcome: DataOutcome) => void;
  /** What waits: the last chunk, or all of it where a verdict asks for that. */
  readonly #held: Buffer[] = [];
  #hasRead = false;
  #isCorked = false;
  #hasEnded = false;
  #isSettled = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: MoveOptions, resolve: (outcome: DataOutcome) => void) {
    this.#options = options;
    this.#resolve = resolve;
  }

  start(): void {
    const { source, sink, moved } = this.#options;
    const isUpload = this.#options.direction === 'upload';
    const truncated: FailureCode = isUpload ? 'CLIENT_FTP_TRUNCATED' : 'ORIGIN_TRUNCATED';
    const gone: FailureCode = isUpload ? 'ORIGIN_GONE' : 'CLIENT_GONE';
    const cutShort = (): void => {
      if (!this.#hasRead) this.#settle(truncated, 'the data connection ended without an end');
    };
    sink.on('error', () => this.#settle(gone, 'the data connection was reset'));
    sink.on('close', () => {
      if (this.#hasEnded && sink.writableFinished) this.#settle(undefined, '');
      else this.#settle(gone, 'the data connection was closed');
    });
    sink.on('drain', () => {
      moved();
      source.resume();
    });
    source.on('error', cutShort).on('close', cutShort);
    if (source.destroyed || sink.destroyed) return this.#settle(source.destroyed ? truncated : gone, 'at its begin');
    // Nothing is to be read from this leg but its end.
    sink.resume();
    if (source.readableEnded) return this.#ended(truncated);
    source.on('end', () => this.#ended(truncated));
    source.on('data', (chunk: Buffer) => {
      moved();
      this.#received(chunk);
    });
    source.resume();
  }

  #received(chunk: Buffer): void {
    if (this.#isSettled) return;
    const { sink } = this.#options;
    const verdict = this.#judged((transfer) => transfer.content(chunk));
    if (verdict === undefined) return;
    this.#held.push(chunk);
    sinceCollected += chunk.length;
    if (sinceCollected > collectEveryBytes) {
      sinceCollected = 0;
      collectYoung();
    }
    if (keptBytes(verdict) > 0 || this.#held.length < 2) return;
    // TLS hands on what was read in pieces of 16 kB: those of one turn go out in one write.
    if (!this.#isCorked) {
      this.#isCorked = true;
      sink.cork();
      process.nextTick(this.#uncork);
    }
    this.#write(this.#held.splice(0, this.#held.length - 1));
  }

  #write(chunks: readonly Buffer[]): void {
    const { source, sink } = this.#options;
    for (const chunk of chunks) if (!sink.write(chunk)) source.pause();
  }

  readonly #uncork = (): void => {
    this.#isCorked = false;
    this.#options.sink.uncork();
  };

  #ended(truncated: FailureCode): void {
    if (this.#isSettled || this.#hasRead) return;
    if (isCutShort(this.#options.source)) return this.#settle(truncated, 'TLS ended without close_notify');
    this.#hasRead = true;
    const verdict = this.#judged((transfer) => transfer.end());
    if (verdict === undefined) return;
    if (verdict.until === undefined) return this.#passEnd();
    verdict.until.then(
      (last) => {
        if (!this.#isSettled && this.#passes(last)) this.#passEnd();
      },
      (error: unknown) => this.#settle('GATEWAY_INTERNAL', String(error)),
    );
  }

  #passEnd(): void {
    const { source, sink } = this.#options;
    this.#hasEnded = true;
    const isEmpty = this.#held.length === 0;
    this.#write(this.#held.splice(0));
    const end = (): void => {
      sink.end(() => {
        source.end();
        // A receiver that closes properly has all of it; one that waits for the reply first is not waited for.
        this.#timer = setTimeout(() => this.#settle(undefined, ''), limits.ftpDataCloseMs);
      });
    };
    // In the turn of the handshake Node would end TCP ahead of the last words of TLS.
    if (isEmpty) setImmediate(end);
    else end();
  }

  #judged(judge: (transfer: FileTransfer) => Verdict): AllowVerdict | undefined {
    try {
      const verdict = judge(this.#options.transfer);
      return this.#passes(verdict) ? verdict : undefined;
    } catch (error) {
      this.#settle('GATEWAY_INTERNAL', String(error));
    }
    return undefined;
  }

  #passes(verdict: Verdict): verdict is AllowVerdict {
    if (verdict.kind === 'allow') return true;
    this.#settle(verdict.kind === 'reset' ? 'POLICY_RULE_RESET' : 'POLICY_RULE_BLOCK', '');
    return false;
  }

  #settle(code: FailureCode | undefined, detail: string): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    clearTimeout(this.#timer);
    this.#options.source.pause();
    this.#resolve({ code, detail });
  }
}
