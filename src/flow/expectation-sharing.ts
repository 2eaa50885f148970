import { FlowFailure } from '../core/failures.ts';
import type { FromRelay } from '../core/ipc.ts';
import { limits } from '../core/limits.ts';
import type { ExpectationSharing } from './data-expectations.ts';

/** The relay's end of telling all others what it waits for, matched to answers of control by number. */
export interface ExpectationRequests extends ExpectationSharing {
  resolve(id: number): void;
}

/** Announcements end within their time limit: a client that could connect to a relay that knows nothing is told to try again. */
export function createExpectationRequests(tell: (message: FromRelay) => void): ExpectationRequests {
  const waiting = new Map<number, () => void>();
  let lastId = 0;
  return {
    announce(expected) {
      lastId += 1;
      const id = lastId;
      return new Promise((resolve, reject) => {
        const timer = setTimeout(() => {
          waiting.delete(id);
          reject(new FlowFailure('GATEWAY_OVERLOADED', 'control does not answer'));
        }, limits.ftpHandOverMs);
        waiting.set(id, () => {
          clearTimeout(timer);
          waiting.delete(id);
          resolve();
        });
        tell({ kind: 'expect-data', id, expected });
      });
    },
    forget: (token) => tell({ kind: 'forget-data', token }),
    resolve: (id) => waiting.get(id)?.(),
  };
}
