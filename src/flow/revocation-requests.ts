import type { FromRelay } from '../core/ipc.ts';
import { limits } from '../core/limits.ts';
import type { RevocationFinding } from '../core/revocation.ts';
import type { AskRevocation } from './origin-revocation.ts';

/** Questions about certificates under way to control, matched to its answers by number. */
export interface RevocationRequests {
  readonly ask: AskRevocation;
  resolve(id: number, findings: readonly RevocationFinding[]): void;
}

/** Makes the relay's end of it. Whoever asks waits as long as policy says; questions that are never answered are let go. */
export function createRevocationRequests(tell: (message: FromRelay) => void): RevocationRequests {
  const waiting = new Map<number, (findings: readonly RevocationFinding[]) => void>();
  let lastId = 0;
  return {
    ask: (pairs) => {
      lastId += 1;
      const id = lastId;
      for (const oldest of waiting.keys()) {
        if (waiting.size < limits.revocationQuestions) break;
        waiting.delete(oldest);
      }
      return new Promise((resolve) => {
        waiting.set(id, resolve);
        tell({ kind: 'revocation-request', id, pairs });
      });
    },
    resolve: (id, findings) => {
      waiting.get(id)?.(findings);
      waiting.delete(id);
    },
  };
}
