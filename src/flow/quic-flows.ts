import { fingerprintsOf } from '../codec/fingerprint.ts';
import {
  type CryptoPiece,
  helloOfPieces,
  openQuicInitial,
  type QuicInitial,
  quicIdsOf,
  refuseQuic,
} from '../codec/quic-initial.ts';
import type { Address } from '../core/endpoint.ts';
import { FlowFailure } from '../core/failures.ts';
import { limits } from '../core/limits.ts';
import type { TransparentListener } from '../core/policy.ts';
import type { FlowFacts, Recorder } from '../core/record.ts';
import type { ClientHello } from '../core/tls.ts';
import { count } from '../metrics/counters.ts';
import { newUlid } from '../records/ulid.ts';
import type { PolicySnapshot } from './policy-snapshot.ts';

/** A client whose ClientHello is on its way, or was recorded lately. */
interface QuicClient {
  readonly startMs: number;
  readonly firstId: Buffer;
  readonly pieces: CryptoPiece[];
  bytes: number;
  isRecorded: boolean;
}

/** Bytes of the smallest datagram that a QUIC client may begin with (RFC 9000 section 14.1); shorter ones get no answer. */
const leastBytes = 1_200;
const mostPieces = 64;

/**
 * Refuses the QUIC clients that capture sends to a listener, and records each with what its ClientHello says. Bounded in
 * clients, time and keys: of a flood only the count is kept.
 */
export class QuicFlows {
  readonly #policy: () => PolicySnapshot;
  readonly #recorder: Recorder;
  readonly #clients = new Map<string, QuicClient>();
  #second = 0;
  #openedInSecond = 0;

  constructor(policy: () => PolicySnapshot, recorder: Recorder) {
    this.#policy = policy;
    this.#recorder = recorder;
  }

  /** Takes a datagram of a client; returns what makes it give up. */
  receive(listener: TransparentListener, datagram: Buffer, client: Address): Buffer | undefined {
    if (datagram.length < leastBytes) return undefined;
    const key = `${client.ip} ${client.port}`;
    const known = this.#clients.get(key);
    // Nothing more is to be learned of a client that is recorded; and nobody makes the gateway compute keys without end.
    if (known?.isRecorded || !this.#mayOpen()) return refuseUnopened(datagram);
    const initial = this.#open(datagram, known);
    if (initial === undefined) return undefined;
    count('daylight_quic_refused_total');
    const entry = known ?? this.#add(key, listener, client, initial.destinationId);
    if (entry !== undefined) {
      entry.bytes += datagram.length;
      // Views on a buffer that is used again.
      for (const { offset, bytes } of initial.pieces) {
        if (entry.pieces.length < mostPieces) entry.pieces.push({ offset, bytes: Buffer.from(bytes) });
      }
      const hello = helloOfPieces(entry.pieces);
      if (hello !== undefined) this.#record(entry, listener, client, hello);
    }
    return refuseQuic(initial);
  }

  #open(datagram: Buffer, known: QuicClient | undefined): QuicInitial | undefined {
    const initial = openQuicInitial(datagram, known?.firstId);
    if (initial !== undefined || known === undefined || !this.#mayOpen()) return initial;
    // Another connection from the same port.
    return openQuicInitial(datagram);
  }

  #mayOpen(): boolean {
    const second = Math.floor(performance.now() / 1_000);
    if (second !== this.#second) this.#openedInSecond = 0;
    this.#second = second;
    this.#openedInSecond += 1;
    return this.#openedInSecond <= limits.quicOpenedPerSecond;
  }

  #add(key: string, listener: TransparentListener, client: Address, firstId: Buffer): QuicClient | undefined {
    if (this.#clients.size >= limits.quicClients) return undefined;
    const entry = { startMs: Date.now(), firstId: Buffer.from(firstId), pieces: [], bytes: 0, isRecorded: false };
    this.#clients.set(key, entry);
    setTimeout(() => this.#record(entry, listener, client, undefined), limits.quicHelloMs).unref();
    setTimeout(() => this.#clients.delete(key), limits.quicRepeatMs).unref();
    return entry;
  }

  #record(entry: QuicClient, listener: TransparentListener, client: Address, hello: ClientHello | undefined): void {
    if (entry.isRecorded) return;
    entry.isRecorded = true;
    entry.pieces.length = 0;
    count('daylight_flows_total{decision="refuse"}');
    count('daylight_failures_total{code="POLICY_QUIC_REFUSED"}');
    try {
      this.#recorder.flowEnd(this.#facts(entry, listener, client, hello), Date.now());
    } catch (error) {
      // Records cannot be written, which the recorder has told; the client is refused all the same.
      if (!(error instanceof FlowFailure)) throw error;
    }
  }

  #facts(entry: QuicClient, listener: TransparentListener, client: Address, hello: ClientHello | undefined): FlowFacts {
    const policy = this.#policy();
    const serverName = hello?.serverName;
    const asset = policy.assetOf(client.ip, serverName, listener);
    const prints = hello === undefined ? undefined : fingerprintsOf(hello);
    const gateway = { ip: listener.listen.ip, port: listener.listen.port };
    return {
      flowId: newUlid(),
      startMs: entry.startMs,
      listenerId: listener.id,
      capture: 'transparent',
      transport: 'udp',
      via: undefined,
      client,
      shareKey: client.ip,
      gateway,
      // Where it was sent to, the kernel does not tell for UDP.
      destination: serverName === undefined ? undefined : { host: serverName, port: 443 },
      origin: undefined,
      originLocal: undefined,
      asset: asset === undefined ? undefined : { id: asset.id, kind: asset.kind },
      policyVersion: policy.document.version,
      decision: { kind: 'refuse', reason: 'quic' },
      protocol: 'quic',
      serverName,
      // The first letter of JA4 tells the transport.
      fingerprints: prints === undefined ? undefined : { ...prints, ja4: `q${prints.ja4.slice(1)}` },
      clientTls: undefined,
      originTls: undefined,
      originExceptions: [],
      upstreamProxy: undefined,
      bytesFromClient: entry.bytes,
      bytesFromOrigin: 0,
      transactions: 0,
      alarms: 0,
      failure: 'POLICY_QUIC_REFUSED',
      failureDetail: '',
      decrypted: false,
    };
  }
}

function refuseUnopened(datagram: Buffer): Buffer | undefined {
  const ids = quicIdsOf(datagram);
  if (ids === undefined) return undefined;
  count('daylight_quic_refused_total');
  return refuseQuic(ids);
}
