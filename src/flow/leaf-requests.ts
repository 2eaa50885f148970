import { FlowFailure } from '../core/failures.ts';
import type { FromRelay, IssuedLeaf, LeafRequest } from '../core/ipc.ts';
import { limits } from '../core/limits.ts';
import type { RequestLeaf } from './leaf-store.ts';

/** Leaf requests under way to control, matched to its answers by number, each with a time limit. */
export interface LeafRequests {
  readonly request: RequestLeaf;
  resolve(id: number, leaf: IssuedLeaf): void;
  reject(id: number, detail: string): void;
}

interface Waiting {
  readonly resolve: (leaf: IssuedLeaf) => void;
  readonly reject: (failure: FlowFailure) => void;
}

/** Makes the relay's end of the signing channel. */
export function createLeafRequests(tell: (message: FromRelay) => void): LeafRequests {
  const waiting = new Map<number, Waiting>();
  let lastId = 0;
  const take = (id: number): Waiting | undefined => {
    const entry = waiting.get(id);
    waiting.delete(id);
    return entry;
  };
  return {
    request: (request: LeafRequest) => {
      lastId += 1;
      const id = lastId;
      return new Promise<IssuedLeaf>((resolve, reject) => {
        const timer = setTimeout(() => take(id)?.reject(new FlowFailure('GATEWAY_LEAF_TIMEOUT')), limits.leafTimeoutMs);
        waiting.set(id, {
          resolve: (leaf) => {
            clearTimeout(timer);
            resolve(leaf);
          },
          reject: (failure) => {
            clearTimeout(timer);
            reject(failure);
          },
        });
        tell({ kind: 'leaf-request', id, request });
      });
    },
    resolve: (id, leaf) => take(id)?.resolve(leaf),
    reject: (id, detail) => take(id)?.reject(new FlowFailure('GATEWAY_LEAF_FAILED', detail)),
  };
}
