import type { Socket } from 'node:net';
import type { SecureContext } from 'node:tls';
import { communityId } from '../codec/community-id.ts';
import { shareKeyOf } from '../codec/share-key.ts';
import type { Address, Destination } from '../core/endpoint.ts';
import type { FailureCode } from '../core/failures.ts';
import type { ListenerPolicy } from '../core/policy.ts';
import type { FlowFacts, Recorder } from '../core/record.ts';
import type { Side } from '../core/side.ts';
import type { ClientHello } from '../core/tls.ts';
import type { ClearableTransport } from '../net/clearable-transport.ts';
import { localAddressOf, remoteAddressOf } from '../net/original-destination.ts';
import type { ResolveFor } from '../net/resolve.ts';
import { newUlid } from '../records/ulid.ts';
import type { DataExpectations } from './data-expectations.ts';
import type { DemandMemory } from './demand-memory.ts';
import type { FlowPlaces } from './flow-places.ts';
import type { FetchIssuersFor } from './judge-origin.ts';
import type { KeyLog } from './key-log.ts';
import type { KeyShareMemory } from './key-share-memory.ts';
import type { LeafContext, LeafStore } from './leaf-store.ts';
import type { LearnedBypassTable } from './learned-bypass.ts';
import type { OriginMemory } from './origin-memory.ts';
import type { AskRevocation } from './origin-revocation.ts';
import type { PacketSink } from './plaintext-export.ts';
import type { PolicySnapshot } from './policy-snapshot.ts';

/** What all flows of a relay share. */
export interface DataPlane {
  readonly leafs: LeafStore;
  readonly recorder: Recorder;
  readonly learned: LearnedBypassTable;
  readonly keyShares: KeyShareMemory;
  /** Origins that end bodies by ending the connection, so that its end must be told from a cut. */
  readonly endWatched: OriginMemory;
  /** Origins that spoke before their client: the next one waits for a greeting too. */
  readonly greeting: OriginMemory;
  readonly resolve: ResolveFor;
  readonly demands: DemandMemory;
  readonly askRevocation: AskRevocation;
  readonly fetchIssuers: FetchIssuersFor;
  readonly places: FlowPlaces;
  /** Data connections of files that the explicit proxy will be asked for. */
  readonly expectations: DataExpectations;
  /** False when records cannot be written and policy says to stop. */
  readonly isRecordable: () => boolean;
  /** Where decrypted traffic is exported to. */
  readonly packets?: PacketSink | undefined;
  /** Where secrets of TLS sessions are written to. */
  readonly keyLog?: KeyLog | undefined;
}

/** How a failure can be told to the client at this point of the flow; `told` when it has been. */
export type AnswerLayer = 'none' | 'told' | 'proxy-request' | 'socks5' | 'tls' | 'http' | 'http2' | 'greeting';

/** How the origin of a flow was verified. */
export interface OriginSecurity {
  readonly context: SecureContext;
  readonly name: string;
  readonly serverName: string | undefined;
  readonly fingerprint: string;
  /** Of the control connection, where TLS has ended on it. */
  readonly session?: Buffer | undefined;
}

/** One flow: a client connection and what it leads to. Lives in its relay alone. */
export interface Flow {
  readonly facts: FlowFacts;
  readonly policy: PolicySnapshot;
  readonly plane: DataPlane;
  readonly listener: ListenerPolicy;
  /** The client's leg: the accepted socket, then the TLS socket over it. Only the uppermost may be destroyed. */
  client: Socket;
  /** The origin's leg once dialled: TCP, then the TLS socket over it. */
  origin: Socket | undefined;
  /** The TCP connections under both legs, for a visible reset. */
  readonly clientTransport: Socket;
  originTransport: Socket | undefined;
  /** The same as they carry TLS, where it may end on them in mid-stream (CCC). */
  clearable?: Partial<Record<Side, ClearableTransport>>;
  /** Whose share of the flows its place is of; undefined where that is not known yet. */
  placeKey: string | undefined;
  answerLayer: AnswerLayer;
  /** The client's ClientHello, once seen. */
  hello: ClientHello | undefined;
  /** What both legs were put under TLS with, for further connections of the same session. */
  leaf?: LeafContext;
  originSecurity?: OriginSecurity;
  /** Ends the running relay from outside; set while one runs. */
  cut: ((code: FailureCode) => void) | undefined;
  drain: ((atOnce: boolean) => boolean) | undefined;
  isRecorded: boolean;
}

/** Makes the flow of a connection just accepted. */
export function openFlow(plane: DataPlane, policy: PolicySnapshot, listener: ListenerPolicy, client: Socket): Flow {
  return {
    facts: openFacts(policy, listener, client),
    policy,
    plane,
    listener,
    client,
    origin: undefined,
    clientTransport: client,
    originTransport: undefined,
    placeKey: undefined,
    answerLayer: 'none',
    hello: undefined,
    cut: undefined,
    drain: undefined,
    isRecorded: false,
  };
}

function openFacts(policy: PolicySnapshot, listener: ListenerPolicy, socket: Socket): FlowFacts {
  const client = addressIfOpen(socket, remoteAddressOf);
  return {
    flowId: newUlid(),
    startMs: Date.now(),
    listenerId: listener.id,
    capture: listener.mode,
    via: undefined,
    client,
    shareKey: shareKeyOf(client.ip),
    gateway: addressIfOpen(socket, localAddressOf),
    destination: undefined,
    origin: undefined,
    originLocal: undefined,
    asset: undefined,
    policyVersion: policy.document.version,
    decision: undefined,
    protocol: undefined,
    serverName: undefined,
    fingerprints: undefined,
    clientTls: undefined,
    originTls: undefined,
    originExceptions: [],
    upstreamProxy: undefined,
    bytesFromClient: 0,
    bytesFromOrigin: 0,
    transactions: 0,
    alarms: 0,
    failure: undefined,
    failureDetail: '',
    decrypted: false,
  };
}

/** A client that has reset its connection before it was accepted has no address any more; its record says so. */
function addressIfOpen(client: Socket, addressOf: (socket: Socket) => Address): Address {
  try {
    return addressOf(client);
  } catch {
    return { ip: '', port: 0 };
  }
}

function forgetOrigin(facts: FlowFacts): void {
  facts.origin = undefined;
  facts.originLocal = undefined;
  delete facts.communityId;
  delete facts.originCommunityId;
}

/** Notes the destination and, by it, the asset of a flow. What was known of another origin holds no longer. */
export function setDestination(flow: Flow, destination: Destination): void {
  const { facts, policy, listener } = flow;
  facts.destination = destination;
  if (facts.origin !== undefined) forgetOrigin(facts);
  facts.communityId ??= communityId(facts.client, addressedBy(facts, destination));
  const asset = policy.assetOf(facts.client.ip, destination.host, listener);
  facts.asset = asset === undefined ? undefined : { id: asset.id, kind: asset.kind };
}

/** What the client's packets are addressed to: a captured client's to its destination, every other's to the gateway. */
function addressedBy({ capture, gateway }: FlowFacts, { ip, port }: Destination): Address {
  return capture === 'transparent' && ip !== undefined ? { ip, port } : gateway;
}
