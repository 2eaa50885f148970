import { createServer, type Server, type Socket } from 'node:net';
import { shareKeyOf } from '../codec/share-key.ts';
import type { FailureCode } from '../core/failures.ts';
import { limits } from '../core/limits.ts';
import type { ListenerPolicy } from '../core/policy.ts';
import type { Recorder } from '../core/record.ts';
import { count } from '../metrics/counters.ts';
import { listenForDatagrams } from '../net/quic-sockets.ts';
import { createResolver } from '../net/resolve.ts';
import { DataExpectations } from './data-expectations.ts';
import { DemandMemory } from './demand-memory.ts';
import { type DrainLimit, drainFlows } from './drain-flows.ts';
import { type DataPlane, type Flow, openFlow } from './flow.ts';
import { FlowPlaces } from './flow-places.ts';
import { describeError, handleFlow } from './handle-flow.ts';
import type { FetchIssuersFor } from './judge-origin.ts';
import type { KeyLog } from './key-log.ts';
import { KeyShareMemory } from './key-share-memory.ts';
import type { LeafStore } from './leaf-store.ts';
import { LearnedBypassTable } from './learned-bypass.ts';
import { OriginMemory } from './origin-memory.ts';
import type { AskRevocation } from './origin-revocation.ts';
import type { PacketSink } from './plaintext-export.ts';
import type { PolicySnapshot } from './policy-snapshot.ts';
import { QuicFlows } from './quic-flows.ts';

export interface RelayServerOptions {
  readonly policy: PolicySnapshot;
  /** Listener id -> descriptor of a socket that listens already. Without one the relay listens itself. */
  readonly descriptors: Readonly<Record<string, number>>;
  readonly leafs: LeafStore;
  readonly recorder: ClosableRecorder;
  /** Without one nothing is learned. */
  readonly learned?: LearnedBypassTable;
  /** Asks about certificates that may be revoked; without it nothing is known of them. */
  readonly askRevocation?: AskRevocation;
  readonly fetchIssuers?: FetchIssuersFor;
  /** Without it there is no other relay that could get what this one expects. */
  readonly expectations?: DataExpectations;
  readonly packets?: PacketSink | undefined;
  readonly keyLog?: KeyLog | undefined;
  /** Told of faults of our own that no record can hold. */
  readonly onProblem?: (problem: string) => void;
}

/** A recorder with the life of its process. */
export interface ClosableRecorder extends Recorder {
  isWritable(): boolean;
  close(): Promise<void>;
}

/** The running data plane of one relay process. */
export interface RelayServer {
  /** Settles when every listener accepts. */
  readonly listening: Promise<void>;
  readonly openFlows: number;
  readonly drainMs: number;
  /** New flows use the new snapshot; live flows keep theirs. */
  setPolicy(policy: PolicySnapshot): void;
  setTicketKeys(keys: Uint8Array): void;
  /**
   * Stops accepting, lets flows end, cuts what is left after the time limit, writes the last records. Asked again, it
   * can only end sooner.
   */
  drain(timeoutMs: number, code?: FailureCode): Promise<void>;
}

/** Starts accepting on every listener of the policy. */
export function serveRelay(options: RelayServerOptions): RelayServer {
  const { leafs, recorder, learned = new LearnedBypassTable(() => {}) } = options;
  const { expectations = new DataExpectations() } = options;
  let policy = options.policy;
  const flows = new Set<Flow>();
  const places = new FlowPlaces();
  const plane: DataPlane = {
    leafs,
    recorder,
    learned,
    keyShares: new KeyShareMemory(),
    endWatched: new OriginMemory(limits.originMemoryEntries, limits.watchedOriginMs),
    greeting: new OriginMemory(limits.originMemoryEntries, limits.greetingMemoryMs),
    resolve: createResolver(),
    demands: new DemandMemory(),
    askRevocation: options.askRevocation ?? (async () => []),
    fetchIssuers: options.fetchIssuers ?? (async () => []),
    places,
    expectations,
    isRecordable: () => recorder.isWritable(),
    packets: options.packets,
    keyLog: options.keyLog,
  };
  const drainLimit: DrainLimit = { deadlineMs: Number.POSITIVE_INFINITY, code: 'GATEWAY_SHUTTING_DOWN' };
  let drained: Promise<void> | undefined;
  const drainAll = async (): Promise<void> => {
    for (const { server } of servers) server.close();
    for (const socket of datagrams) socket.close();
    await drainFlows(flows, drainLimit);
    expectations.close();
    await recorder.close();
  };
  const accept = (listenerId: string, socket: Socket): void => {
    const listener = policy.document.listeners.find(({ id }) => id === listenerId);
    if (listener === undefined) return void socket.destroy();
    // Where a balancer tells of its clients, its own address is that of all of them: theirs is told later.
    const key = listener.proxyProtocol === 'off' ? shareKeyOf(socket.remoteAddress ?? '') : undefined;
    if (!places.take(key)) {
      count('daylight_failures_total{code="GATEWAY_OVERLOADED"}');
      return void socket.destroy();
    }
    const flow = openFlow(plane, policy, listener, socket);
    flow.placeKey = key;
    flows.add(flow);
    void handleFlow(flow)
      .catch((error: unknown) => options.onProblem?.(`a flow could not be ended: ${describeError(error)}`))
      .finally(() => {
        flows.delete(flow);
        places.give(flow.placeKey);
      });
  };
  const servers = policy.document.listeners.map((listener) => ({
    listener,
    server: createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true }, (socket) =>
      accept(listener.id, socket),
    ),
  }));
  const quic = new QuicFlows(() => policy, recorder);
  const datagrams = policy.document.listeners.flatMap((listener) =>
    listener.mode !== 'transparent'
      ? []
      : listenForDatagrams(
          listener.listen,
          (datagram, client) => quic.receive(listener, datagram, client),
          (problem) => options.onProblem?.(`QUIC is refused without a record: ${problem}`),
        ),
  );
  return {
    listening: Promise.all(servers.map((entry) => listen(entry, options.descriptors))).then(() => {}),
    get openFlows() {
      return flows.size;
    },
    get drainMs() {
      return policy.document.timeouts.drainMs;
    },
    setPolicy(next) {
      if (next.document.authority.fingerprint !== policy.document.authority.fingerprint) leafs.clear();
      policy = next;
    },
    setTicketKeys(keys) {
      leafs.ticketKeys = keys;
    },
    drain(timeoutMs, code = 'GATEWAY_SHUTTING_DOWN') {
      drainLimit.deadlineMs = Math.min(drainLimit.deadlineMs, performance.now() + timeoutMs);
      drainLimit.code = code;
      drained ??= drainAll();
      return drained;
    },
  };
}

interface Listening {
  readonly listener: ListenerPolicy;
  readonly server: Server;
}

function listen({ listener, server }: Listening, descriptors: Readonly<Record<string, number>>): Promise<void> {
  return new Promise((resolve, reject) => {
    const fd = descriptors[listener.id];
    const { ip: host, port } = listener.listen;
    const onListening = (): void => {
      server.off('error', reject);
      // Out of descriptors, for one: accepting pauses, live flows go on.
      server.on('error', () => count('daylight_failures_total{code="GATEWAY_OVERLOADED"}'));
      resolve();
    };
    server.once('error', reject);
    const backlog = limits.listenBacklog;
    if (fd === undefined) server.listen({ host, port, backlog }, onListening);
    // Node listens anew on a socket that listens already, and cuts its queue to 511 unless told so in this very form.
    else server.listen({ fd }, backlog, onListening);
  });
}
