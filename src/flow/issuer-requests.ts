import { X509Certificate } from 'node:crypto';
import type { FromRelay } from '../core/ipc.ts';
import { limits } from '../core/limits.ts';
import { FairShares } from '../net/fair-shares.ts';
import type { FetchIssuersFor } from './judge-origin.ts';

/** Questions for missing issuers under way to control, matched to its answers by number, each with a time limit. */
export interface IssuerRequests {
  readonly fetch: FetchIssuersFor;
  resolve(id: number, certificates: readonly Uint8Array[]): void;
}

/** Makes the relay's end of it. No answer in time is an answer without certificates. */
export function createIssuerRequests(tell: (message: FromRelay) => void): IssuerRequests {
  const waiting = new Map<number, (certificates: readonly Uint8Array[]) => void>();
  const shares = new FairShares(limits.issuerFetches);
  let lastId = 0;
  return {
    fetch: (addresses, client) => {
      if (!shares.take(client)) return Promise.resolve([]);
      lastId += 1;
      const id = lastId;
      return new Promise((resolve) => {
        const answer = (certificates: readonly Uint8Array[]): void => {
          clearTimeout(timer);
          if (waiting.delete(id)) shares.give(client);
          resolve(certificates.flatMap(readable));
        };
        const timer = setTimeout(() => answer([]), limits.issuerWaitMs);
        waiting.set(id, answer);
        tell({ kind: 'issuer-request', id, addresses: addresses.slice(0, limits.issuerAddresses), client });
      });
    },
    resolve: (id, certificates) => waiting.get(id)?.(certificates),
  };
}

function readable(der: Uint8Array): readonly X509Certificate[] {
  try {
    return [new X509Certificate(Buffer.from(der))];
  } catch {
    return [];
  }
}
