import type { Duplex } from 'node:stream';
import type { Destination } from '../core/endpoint.ts';
import type { FailureCode } from '../core/failures.ts';
import type { Relay, Wire } from '../core/relay.ts';
import type { Side } from '../core/side.ts';

/** What a pump drives, and what it needs of the world for it. */
export interface PumpOptions {
  readonly client: Duplex;
  /** Undefined when the relay names its origin itself (`retarget`). */
  readonly origin: Duplex | undefined;
  readonly relay: (wire: Wire) => Relay;
  readonly opaqueRelay: (wire: Wire) => Relay;
  readonly idleTimeoutMs: number;
  /** Dials another origin for `retarget`; rejects with FlowFailure. */
  readonly dial?: (destination: Destination) => Promise<Duplex>;
  /** Ends a leg at once with a TCP reset. */
  readonly reset?: (side: Side, stream: Duplex) => void;
  /** What an error of a leg means, e.g. a demanded client certificate (TLS 1.3 tells it after the handshake). */
  readonly failureOf?: (side: Side, error: NodeJS.ErrnoException) => { code: FailureCode; detail: string } | undefined;
}

/** How a flow ended at its pump. */
export interface PumpOutcome {
  readonly code: FailureCode | undefined;
  readonly detail: string;
  readonly bytesFromClient: number;
  readonly bytesFromOrigin: number;
}
