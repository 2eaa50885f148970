import type { Duplex } from 'node:stream';
import type { Destination } from '../core/endpoint.ts';
import type { FailureCode } from '../core/failures.ts';
import type { ProtocolSwitch, Relay, Wire } from '../core/relay.ts';
import type { Side } from '../core/side.ts';

/** What a pump drives, and what it needs of the world for it. */
export interface PumpOptions {
  readonly client: Duplex;
  /** Undefined when the relay names its origin itself (`retarget`). */
  readonly origin: Duplex | undefined;
  readonly relay: (wire: Wire) => Relay;
  /** What goes on after a switch of protocols. */
  readonly upgradedRelay: (wire: Wire, next: ProtocolSwitch) => Relay;
  readonly idleTimeoutMs: number;
  /** Told of each stream that a leg gets, before anything of it is read. */
  readonly tap?: ((side: Side, stream: Duplex) => void) | undefined;
  /** Dials another origin for `retarget`; rejects with FlowFailure. */
  readonly dial?: (destination: Destination) => Promise<Duplex>;
  /** Puts TLS over both legs in mid-stream; without it no relay may ask for that. */
  readonly secure?: SecureLegs | undefined;
  /** Ends TLS on a leg in mid-stream, and gives what was under it; rejects with FlowFailure, and the leg has ended then. */
  readonly clear?: ((side: Side) => Promise<Duplex>) | undefined;
  /** Ends a leg at once with a TCP reset. */
  readonly reset?: (side: Side, stream: Duplex) => void;
  /** What an error of a leg means, e.g. a demanded client certificate (TLS 1.3 tells it after the handshake). */
  readonly failureOf?: (side: Side, error: NodeJS.ErrnoException) => { code: FailureCode; detail: string } | undefined;
}

/** Puts TLS over legs whose streams were released. What fails has ended the leg that it failed on. */
export interface SecureLegs {
  /** Nothing tells so far whom the origin has to be: the client is answered first, and its ClientHello read by `hello`. */
  needsHello(name: string | undefined): boolean;
  hello(): Promise<void>;
  /** Verifies the origin, by `name` where nothing better is known; rejects with FlowFailure. */
  origin(name: string | undefined): Promise<Duplex>;
  /** Whether policy leaves this client and this origin to each other: asked before anything is done, of mail alone. */
  passesUnread(): boolean;
  /** The same after a failed check: the origin on a new connection, where `lines` have led it to TLS. Never rejects. */
  again(error: unknown, lines: readonly Buffer[]): Promise<Duplex | undefined>;
  /** Answers the client's handshake, after `origin` has resolved; rejects with FlowFailure. */
  client(alpn: readonly string[]): Promise<Duplex>;
}

/** How a flow ended at its pump. */
export interface PumpOutcome {
  readonly code: FailureCode | undefined;
  readonly detail: string;
  readonly bytesFromClient: number;
  readonly bytesFromOrigin: number;
}
