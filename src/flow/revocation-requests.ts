import type { FromRelay } from '../core/ipc.ts';
import { limits } from '../core/limits.ts';
import type { RevocationFinding } from '../core/revocation.ts';
import { FairShares } from '../net/fair-shares.ts';
import type { AskRevocation } from './origin-revocation.ts';

/** Questions about certificates under way to control, matched to its answers by number. */
export interface RevocationRequests {
  readonly ask: AskRevocation;
  resolve(id: number, findings: readonly RevocationFinding[]): void;
}

/** Makes the relay's end of it. Whoever asks waits as long as policy says. Beyond the share of its client nothing is asked, and so nothing is known. */
export function createRevocationRequests(tell: (message: FromRelay) => void): RevocationRequests {
  const waiting = new Map<number, { client: string; answer: (findings: readonly RevocationFinding[]) => void }>();
  const shares = new FairShares(limits.revocationQuestions);
  let lastId = 0;
  return {
    ask: (pairs, client) => {
      if (!shares.take(client)) return Promise.resolve([]);
      lastId += 1;
      const id = lastId;
      return new Promise((resolve) => {
        waiting.set(id, { client, answer: resolve });
        tell({ kind: 'revocation-request', id, pairs, client });
      });
    },
    resolve: (id, findings) => {
      const asked = waiting.get(id);
      if (asked === undefined) return;
      waiting.delete(id);
      shares.give(asked.client);
      asked.answer(findings);
    },
  };
}
