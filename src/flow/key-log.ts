import { constants, openSync, writeSync } from 'node:fs';
import type { KeyLogPolicy } from '../core/policy.ts';
import type { Side } from '../core/side.ts';

/** Takes the secrets of one leg as TLS gives them, a line of the NSS key log format each. */
export type KeyLine = (line: Buffer) => void;
/** Where the secrets of each leg go; undefined for a leg whose secrets go nowhere. */
export type KeyLog = Readonly<Record<Side, KeyLine | undefined>>;

/**
 * Opens the key logs that policy names: appended to, readable by their owner alone, and never through a link. Relays
 * share them: each line is one write.
 */
export function openKeyLog(policy: KeyLogPolicy, onProblem: (problem: string) => void): KeyLog {
  return { client: keyLine(policy.client, onProblem), origin: keyLine(policy.origin, onProblem) };
}

function keyLine(file: string | undefined, onProblem: (problem: string) => void): KeyLine | undefined {
  if (file === undefined) return undefined;
  const { O_APPEND, O_CREAT, O_NOFOLLOW, O_WRONLY } = constants;
  const descriptor = openSync(file, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW, 0o600);
  let isTold = false;
  return (line) => {
    try {
      writeSync(descriptor, line);
    } catch (error) {
      // A key that is missing costs a reader one session, and traffic nothing.
      if (!isTold) onProblem(`TLS keys cannot be written: ${String(error)}`);
      isTold = true;
    }
  };
}
