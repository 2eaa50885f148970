import { FlowFailure } from '../core/failures.ts';
import type { FromRelay } from '../core/ipc.ts';
import { strikes } from '../core/simulation.ts';
import type { Exposition } from '../metrics/exposition.ts';
import type { OperationalLog } from './operational-log.ts';
import type { RelayChild } from './relay-child.ts';
import type { Signer } from './signer.ts';

export interface Issuing {
  readonly signer: Signer;
  readonly log: OperationalLog;
  readonly metrics: Exposition;
}

type LeafQuestion = Extract<FromRelay, { kind: 'leaf-request' }>;

/** Has a leaf issued that a relay asks for, and answers it with the leaf or with why there is none. */
export function issueFor(child: RelayChild, { id, request }: LeafQuestion, { signer, log, metrics }: Issuing): void {
  if (strikes('signer-silence')) return;
  signer.sign(request).then(
    (leaf) => child.send({ kind: 'leaf', id, leaf }),
    (error: unknown) => {
      const detail = error instanceof FlowFailure ? error.detail : String(error);
      log.error('a leaf could not be issued', { code: 'GATEWAY_LEAF_FAILED', detail, name: request.name });
      child.send({ kind: 'leaf-failed', id, detail });
    },
  );
  metrics.add({ daylight_leafs_issued_total: 1 });
}
