import type { Duplex } from 'node:stream';
import type { FailureCode } from '../core/failures.ts';
import { limits } from '../core/limits.ts';
import type { FileTransfer } from '../core/transfer.ts';
import type { Verdict } from '../core/verdict.ts';
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
  #held: Buffer | undefined;
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
      if (!this.#hasEnded) this.#settle(truncated, 'the data connection ended without an end');
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
    const { source, sink } = this.#options;
    const held = this.#held;
    this.#held = chunk;
    if (!this.#mayPass((transfer) => transfer.content(chunk))) return;
    if (held !== undefined && !sink.write(held)) source.pause();
  }

  #ended(truncated: FailureCode): void {
    if (this.#isSettled || this.#hasEnded) return;
    const { source, sink } = this.#options;
    if (isCutShort(source)) return this.#settle(truncated, 'TLS ended without close_notify');
    if (!this.#mayPass((transfer) => transfer.end())) return;
    this.#hasEnded = true;
    sink.end(this.#held, () => {
      source.end();
      // A receiver that closes properly has all of it; one that waits for the reply first is not waited for.
      this.#timer = setTimeout(() => this.#settle(undefined, ''), limits.ftpDataCloseMs);
    });
    this.#held = undefined;
  }

  #mayPass(judge: (transfer: FileTransfer) => Verdict): boolean {
    try {
      const verdict = judge(this.#options.transfer);
      if (verdict.kind === 'allow') return true;
      this.#settle(verdict.kind === 'reset' ? 'POLICY_RULE_RESET' : 'POLICY_RULE_BLOCK', '');
    } catch (error) {
      this.#settle('GATEWAY_INTERNAL', String(error));
    }
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
