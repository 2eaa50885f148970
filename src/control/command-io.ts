import type { Writable } from 'node:stream';

/** What a command may use of the world around it. */
export interface CommandIo {
  readonly stdout: Writable;
  readonly stderr: Writable;
  readonly env: NodeJS.ProcessEnv;
}
