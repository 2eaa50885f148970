import type { Socket } from 'node:net';
import type { Address, Destination } from '../core/endpoint.ts';
import type { FailureCode } from '../core/failures.ts';
import type { ListenerPolicy } from '../core/policy.ts';
import type { FlowFacts, Recorder } from '../core/record.ts';
import type { ClientHello } from '../core/tls.ts';
import type { LeafStore } from './leaf-store.ts';
import type { PolicySnapshot } from './policy-snapshot.ts';
import { newUlid } from './ulid.ts';

/** What all flows of a relay share. */
export interface DataPlane {
  readonly leafs: LeafStore;
  readonly recorder: Recorder;
  /** False when records cannot be written and policy says to stop. */
  readonly isRecordable: () => boolean;
}

/** How a failure can be told to the client at this point of the flow. */
export type AnswerLayer = 'none' | 'proxy-request' | 'socks5' | 'tls' | 'http';

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
  answerLayer: AnswerLayer;
  /** The client's ClientHello, once seen. */
  hello: ClientHello | undefined;
  /** Ends the running relay from outside; set while one runs. */
  cut: ((code: FailureCode) => void) | undefined;
  drain: (() => void) | undefined;
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
    answerLayer: 'none',
    hello: undefined,
    cut: undefined,
    drain: undefined,
  };
}

function openFacts(policy: PolicySnapshot, listener: ListenerPolicy, client: Socket): FlowFacts {
  return {
    flowId: newUlid(),
    startMs: Date.now(),
    listenerId: listener.id,
    capture: listener.mode,
    via: undefined,
    client: remoteAddress(client),
    gateway: localAddress(client),
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

const mapped = '::ffff:';

/** IPv4-mapped IPv6 addresses of dual-stack sockets as plain IPv4: one spelling per address everywhere. */
function plainIp(ip: string): string {
  return ip.startsWith(mapped) ? ip.slice(mapped.length) : ip;
}

/** The peer's address of a connected socket. */
export function remoteAddress(socket: Socket): Address {
  return { ip: plainIp(socket.remoteAddress ?? ''), port: socket.remotePort ?? 0 };
}

/** Our own address of a connected socket. */
export function localAddress(socket: Socket): Address {
  return { ip: plainIp(socket.localAddress ?? ''), port: socket.localPort ?? 0 };
}

/** Notes the destination and, by it, the asset of a flow. */
export function setDestination(flow: Flow, destination: Destination): void {
  const { facts, policy, listener } = flow;
  facts.destination = destination;
  const asset = policy.assetOf(facts.client.ip, destination.host, listener);
  facts.asset = asset === undefined ? undefined : { id: asset.id, kind: asset.kind };
}
