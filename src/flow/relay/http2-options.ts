import type { Exchange } from '../../core/http.ts';
import type { Wire } from '../../core/relay.ts';
import type { Admission } from './http1-admission.ts';

export interface Http2Options extends Omit<Admission, 'mode' | 'isPermitted'> {
  readonly wire: Wire;
  /** Makes the exchange of a request to a host. `depth` counts from 0 in the flow. */
  readonly exchange: (depth: number, host: string) => Exchange;
  /** Offers of other protocols that are not inspected pass; they are dropped without it. */
  readonly altSvc?: 'strip' | 'keep';
  /** Whose share of the memory it is that messages take which wait. */
  readonly shareKey: string;
  /** Named on the pages of the gateway. */
  readonly flowId: string;
}
