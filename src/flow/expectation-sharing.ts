import { FlowFailure } from '../core/failures.ts';
import type { FromRelay } from '../core/ipc.ts';
import { limits } from '../core/limits.ts';
import type { ExpectationSharing } from './data-expectations.ts';

/** The relay's end of telling all others what it waits for, matched to answers of control by number. */
export interface ExpectationRequests extends ExpectationSharing {
  answer(id: number, isKnown: boolean): void;
}

/** Announcements end within their time limit: a client that could connect to a relay that knows nothing is told to try again. */
export function createExpectationRequests(tell: (message: FromRelay) => void): ExpectationRequests {
  const waiting = new Map<number, (isKnown: boolean) => void>();
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
        waiting.set(id, (isKnown) => {
          clearTimeout(timer);
          waiting.delete(id);
          if (isKnown) resolve();
          else reject(new FlowFailure('GATEWAY_OVERLOADED', 'another relay does not answer'));
        });
        tell({ kind: 'expect-data', id, expected });
      });
    },
    forget: (token) => tell({ kind: 'forget-data', token }),
    answer: (id, isKnown) => waiting.get(id)?.(isKnown),
  };
}
