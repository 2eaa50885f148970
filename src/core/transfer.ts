import type { FailureCode } from './failures.ts';
import type { Verdict } from './verdict.ts';

/** What an FTP session has told when a transfer is asked for. Texts as sent, latin1. */
export interface TransferRequest {
  /** RETR, STOR, STOU, APPE, LIST, NLST or MLSD; or a command that changes files without a transfer. */
  readonly command: string;
  /** As the client names it; empty where it names none. */
  readonly path: string;
  readonly direction: 'upload' | 'download' | 'none';
  /** Who logged in; empty before. */
  readonly user: string;
  /** Where REST said to begin. */
  readonly offset: number;
  /** Data pass over TLS (PROT P). */
  readonly isProtected: boolean;
  /** The control connection is in plaintext again (CCC). */
  readonly isCleared: boolean;
  /** Of a transfer alone. */
  readonly mode: 'passive' | 'active' | undefined;
}

/** How a transfer ended. */
export interface TransferOutcome {
  /** All of it came, with a proper end, and the origin said so. */
  readonly complete: boolean;
  readonly failure: FailureCode | undefined;
  readonly detail: string;
  /** The last answer of the origin; undefined when there was none. */
  readonly reply: { readonly code: number; readonly text: string } | undefined;
}

/** One transfer as the relay reports it. Anything but `allow` ends it. Chunks may be kept, and never changed. */
export interface FileTransfer {
  /** Before its command is passed on. */
  begin(): Verdict;
  content(chunk: Buffer): Verdict;
  /** Before its last bytes are passed on. */
  end(): Verdict;
  /** Called exactly once, last. */
  finish(outcome: TransferOutcome): void;
}

/** Makes a transfer per command. */
export interface TransferInspector {
  transfer(request: TransferRequest): FileTransfer;
}
