import type { Duplex } from 'node:stream';
import { canonicalHost } from '../codec/host.ts';
import type { Destination } from '../core/endpoint.ts';
import type { FailureCode } from '../core/failures.ts';
import type { Header } from '../core/http.ts';
import type { ProtocolSwitch, Relay, Wire } from '../core/relay.ts';
import type { Side } from '../core/side.ts';
import type { CertificateFacts, OriginIdentity } from '../core/tls.ts';
import { resetConnection } from '../net/reset.ts';
import { coveringName } from './certificate-names.ts';
import { clearLeg, mayClear } from './clear-leg.ts';
import { whyUnmet } from './data-meeting.ts';
import type { Flow } from './flow.ts';
import { http1RelayFor } from './http1-relay.ts';
import { http2RelayFor } from './http2-relay.ts';
import { tapFor } from './plaintext-export.ts';
import { Pump } from './pump.ts';
import type { SecureLegs } from './pump-options.ts';
import { createOpaqueRelay } from './relay/opaque.ts';
import { createReplaceableRelay } from './relay/replaceable.ts';
import { createSniffingRelay } from './relay/sniffing.ts';
import { createWebSocketRelay } from './relay/websocket.ts';
import { filesRelay } from './run-files.ts';
import { mailRelay } from './run-mail.ts';

export interface RelayOptions {
  readonly origin: Duplex | undefined;
  /** Protocol that the opening has told; undefined when the first bytes must tell. */
  readonly protocol: string | undefined;
  /** What both sides agreed on in TLS. HTTP is taken at its word; what is called otherwise may be HTTP all the same. */
  readonly alpn?: string | undefined;
  readonly scheme: 'http' | 'https';
  readonly hostAllowed?: ((host: string) => boolean) | undefined;
  /** Absolute-form requests of an explicit proxy, each to its own origin. */
  readonly dial?: (destination: Destination) => Promise<Duplex>;
  /** Judges the credentials of each of them, where the proxy asks for some. */
  readonly isPermitted?: ((headers: readonly Header[]) => boolean) | undefined;
  /** Told of each response whose body is ended by the end of the connection. */
  readonly onUntilClose?: () => void;
  /** Plain legs that may be put under TLS in mid-stream (STARTTLS). */
  readonly secure?: SecureLegs;
  readonly failureOf?: (side: Side, error: NodeJS.ErrnoException) => { code: FailureCode; detail: string } | undefined;
}

/** Runs the relay that fits the protocol over both legs, until the flow is over, and notes its outcome in the facts. */
export async function runRelay(flow: Flow, options: RelayOptions): Promise<void> {
  const { facts, policy, plane } = flow;
  flow.answerLayer = 'none';
  const pump = new Pump({
    client: flow.client,
    origin: options.origin,
    relay: (wire) => relayFor(flow, options, wire),
    upgradedRelay: (wire, next) => upgradedRelay(wire, next, facts.shareKey),
    idleTimeoutMs: policy.document.timeouts.idleMs,
    tap: plane.packets === undefined ? undefined : tapFor(facts, plane.packets),
    reset: (side, stream) => resetLeg(flow, side, stream),
    ...(options.dial === undefined ? {} : { dial: options.dial }),
    secure: options.secure,
    clear: mayClear(policy) ? (side) => clearLeg(flow, side) : undefined,
    ...(options.failureOf === undefined ? {} : { failureOf: options.failureOf }),
  });
  flow.cut = (code) => pump.cut(code);
  flow.drain = (atOnce) => pump.drain(atOnce);
  const outcome = await pump.run();
  flow.cut = undefined;
  flow.drain = undefined;
  facts.bytesFromClient = outcome.bytesFromClient;
  facts.bytesFromOrigin = outcome.bytesFromOrigin;
  facts.failure ??= outcome.code;
  if (facts.failureDetail === '') facts.failureDetail = outcome.detail;
}

function upgradedRelay(wire: Wire, next: ProtocolSwitch, shareKey: string): Relay {
  if (next.kind !== 'opaque') return createWebSocketRelay({ wire, ...next, shareKey });
  // The relay before may have stopped the client for an answer that is not its own any more.
  wire.pause('client', false);
  return createOpaqueRelay({ wire });
}

function resetLeg(flow: Flow, side: Side, stream: Duplex): void {
  const transport = side === 'client' ? flow.clientTransport : flow.originTransport;
  if (transport === undefined) stream.destroy();
  else resetConnection(transport, transport === stream ? undefined : stream);
}

function relayFor(flow: Flow, options: RelayOptions, wire: Wire): Relay {
  const http = (): Relay => http1RelayFor(flow, options, wire);
  const opaque = (protocol: string): Relay => {
    flow.facts.protocol = protocol;
    return createOpaqueRelay({ wire });
  };
  const { protocol, alpn } = options;
  const canUpgrade = options.secure !== undefined;
  const mail = (guess: string): Relay =>
    createReplaceableRelay((replace) => {
      const unread = whyUnmet(flow);
      const files = unread === undefined ? () => filesRelay(flow, wire, canUpgrade) : unread;
      return mailRelay({ flow, wire, guess, canUpgrade, files, replace });
    });
  if (isHttp1(protocol ?? alpn)) return http();
  if ((protocol ?? alpn) === 'h2') return http2RelayFor(flow, options, wire);
  if (protocol !== undefined) return protocol === 'smtp' ? mail(protocol) : opaque(protocol);
  const refuseOpaque = flow.policy.document.opaque === 'refuse';
  const http2 = flow.policy.document.http.h2 ? () => http2RelayFor(flow, options, wire) : undefined;
  return createSniffingRelay({
    wire,
    http,
    http2,
    // Mail and FTP servers greet alike: the client's first command tells them apart.
    greeted: (guess) => (guess === 'smtp' || guess === 'ftp' ? mail(guess) : undefined),
    opaque: (sniffed) => opaque(alpn ?? sniffed),
    refuseOpaque,
  });
}

function isHttp1(protocol: string | undefined): boolean {
  return protocol === 'http/1.1' || protocol === 'http/1.0';
}

/**
 * The hosts that an inspected connection may name: those that the verified certificate covers and those of the
 * certificate that the client was shown, which differ where an endpoint has its own; all, where policy says so.
 */
export function hostTestFor(
  flow: Flow,
  identity: OriginIdentity,
  shown: CertificateFacts,
): ((host: string) => boolean) | undefined {
  if (flow.policy.document.http.hostMismatch === 'allow') return undefined;
  let lastAllowed = '';
  return (host) => {
    if (host === lastAllowed) return true;
    const name = canonicalHost(host);
    if (name === undefined) return false;
    const covered =
      name === identity.name ||
      coveringName(identity.certificate, name) !== undefined ||
      coveringName(shown, name) !== undefined;
    if (covered) lastAllowed = host;
    return covered;
  };
}
