import type { FlowFailure } from './failures.ts';

/** Bytes of one mail that wait on disk, written in order off the event loop. */
export interface SpoolFile {
  /** False when there is no room for them in the spool: they were not taken. */
  append(bytes: Buffer): boolean;
  /** Bytes that were taken and are not on disk yet. */
  readonly pendingBytes: number;
  /** Nothing is left to be read. */
  readonly isEmpty: boolean;
  /** The next bytes, once all are written. Rejects with FlowFailure. */
  read(): Promise<Buffer>;
  /** Gives the room back. Must be called, however the mail ends. */
  discard(): void;
}

/** Told that bytes were written, or that they could not be. */
export type SpoolListener = (failure: FlowFailure | undefined) => void;

/** Opens a file for one mail. */
export type OpenSpoolFile = (told: SpoolListener) => SpoolFile;
