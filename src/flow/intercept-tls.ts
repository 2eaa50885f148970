import type { Socket } from 'node:net';
import { FlowFailure } from '../core/failures.ts';
import type { ClientHello, OriginIdentity } from '../core/tls.ts';
import { count } from '../metrics/counters.ts';
import { demandOf, refuseDemand, refuseKnownDemand, watchDemand } from './certificate-demand.ts';
import { clearable } from './clear-leg.ts';
import { acceptClient, leafRejection } from './client-leg.ts';
import type { Flow } from './flow.ts';
import { acceptsAuthority, leafKeyTypeFor } from './leaf-key-choice.ts';
import { noteFailedHandshake, watchForSilence } from './leaf-rejection.ts';
import type { LeafContext } from './leaf-store.ts';
import type { Tunnel } from './relay-tunnel.ts';
import { hostTestFor, runRelay } from './run-relay.ts';
import { canonicalServerName } from './server-name.ts';
import { openVerifiedOrigin, watchEndsOf } from './verified-origin.ts';

/** The inspected way of a TLS flow: dial, verify the origin, mint, answer the client, relay. No path goes on after a failed check. */
export async function interceptTls(flow: Flow, tunnel: Tunnel, hello: ClientHello): Promise<void> {
  const { http, tls } = flow.policy.document;
  if (tls.requireServerName && hello.serverName === undefined) throw new FlowFailure('POLICY_SERVER_NAME_MISSING');
  const alpn = relayableAlpn(hello, http.h2);
  refuseKnownDemand(flow);
  const transport = await tunnel.dial();
  if (tunnel.originTls === 'never') return interceptToPlainOrigin(flow, tunnel, hello, transport);
  const serverName = canonicalServerName(hello, tunnel.destination);
  const leg = await openVerifiedOrigin(flow, tunnel, transport, { serverName, alpn });
  flow.origin = leg.socket;
  refuseDemand(flow, leg);
  if (leg.tls.alpn === undefined) refuseUnconfirmed(alpn);
  // The origin may close while the leaf is being minted; the pump learns it as soon as it runs.
  const demand = watchDemand(leg);
  const leaf = boundForFiles(flow, hello, await leafOf(flow, tunnel, hello, leg.identity, leg.tls.alpn));
  demand.refuse();
  const name = leg.identity.name;
  const judged = tunnel.ownCertificate === undefined;
  await answerClient(flow, hello, leaf, leg.tls.alpn).catch((error: unknown) => {
    if (judged) noteFailedHandshake(flow, name, error);
    throw error;
  });
  const silence = judged ? watchForSilence(flow, leg.socket) : undefined;
  await runRelay(flow, {
    origin: leg.socket,
    protocol: undefined,
    alpn: leg.tls.alpn,
    scheme: 'https',
    hostAllowed: hostTestFor(flow, leg.identity, leaf.certificate),
    onUntilClose: () => watchEndsOf(flow, tunnel, leg),
    failureOf: (side, error) => (side === 'origin' ? demandOf(leg, error) : leafRejection(error)),
  });
  demand.note(flow);
  silence?.(name);
}

/** Protocols that we can relay in an inspected flow, in the client's order; h2 unless policy switches it off. */
function relayableAlpn(hello: ClientHello, h2: boolean): readonly string[] {
  const offered = hello.alpn.filter(
    (protocol) => (h2 && protocol === 'h2') || !/^(h2|h3|spdy|grpc-exp)/.test(protocol),
  );
  if (hello.alpn.length > 0 && offered.length === 0) {
    throw new FlowFailure('CLIENT_ALPN_UNSUPPORTED', hello.alpn.join(' ').slice(0, 100));
  }
  return offered;
}

/**
 * An origin without ALPN is taken for one of HTTP/1.1, as it always was. For any other protocol its word is needed: a
 * client of one protocol that is led to a server of another is how cross-protocol attacks begin (ALPACA; RFC 7301
 * section 3.2 has the server refuse).
 */
function refuseUnconfirmed(offered: readonly string[]): void {
  if (offered.length === 0 || offered.some((protocol) => /^http\/1\.[01]$/.test(protocol))) return;
  throw new FlowFailure('ORIGIN_ALPN_REFUSED', `the origin confirms none of ${offered.join(' ').slice(0, 100)}`);
}

/** The leaf that a client is shown for a verified origin, or the endpoint's own certificate. */
export async function leafOf(
  flow: Flow,
  tunnel: Tunnel,
  hello: ClientHello,
  identity: OriginIdentity,
  alpn?: string,
): Promise<LeafContext> {
  const { leafs } = flow.plane;
  const policy = flow.policy.document.tls.client;
  if (tunnel.ownCertificate !== undefined) return leafs.ownContext(tunnel.ownCertificate, policy, alpn);
  if (!acceptsAuthority(hello, flow.policy.document.authority.keyType))
    throw new FlowFailure('CLIENT_SIGNATURES_UNSUPPORTED');
  return leafs.contextFor({ kind: 'verified', identity, alpn }, leafKeyTypeFor(hello), policy, flow.facts.shareKey);
}

/** Whoever may turn out to be an FTP client gets sessions of its own, by which its data connections are known. */
function boundForFiles({ facts, policy }: Flow, { alpn }: ClientHello, leaf: LeafContext): LeafContext {
  const mayBe = facts.destination?.port === implicitFtpPort || policy.document.files.requireResumption;
  return mayBe && (alpn.length === 0 || alpn.some((protocol) => protocol.startsWith('ftp'))) ? leaf.bound() : leaf;
}

const implicitFtpPort = 990;

/** Answers the client's handshake, and notes its leg in the flow. */
export async function answerClient(
  flow: Flow,
  hello: ClientHello,
  leaf: LeafContext,
  alpn: string | undefined,
): Promise<void> {
  flow.answerLayer = 'none';
  const leg = await acceptClient({
    transport: clearable(flow, 'client', flow.client) ?? flow.client,
    leaf,
    alpn,
    serverName: hello.serverName,
    timeoutMs: flow.policy.document.timeouts.handshakeMs,
    onKeys: flow.plane.keyLog?.client,
  });
  flow.client = leg.socket;
  flow.leaf = leaf;
  flow.facts.clientTls = leg.tls;
  flow.facts.decrypted = true;
  count(`daylight_tls_sessions_total{leg="client",resumed="${leg.tls.resumed}"}`);
}

/** A published endpoint that ends TLS at the gateway: its own certificate stands for it, and the origin is reached in plain. */
async function interceptToPlainOrigin(flow: Flow, tunnel: Tunnel, hello: ClientHello, origin: Socket): Promise<void> {
  if (tunnel.ownCertificate === undefined)
    throw new FlowFailure('GATEWAY_LEAF_FAILED', 'originTls never needs a certificate');
  const alpn = plainAlpn(hello, flow.policy.document.http.h2);
  const leaf = flow.plane.leafs.ownContext(tunnel.ownCertificate, flow.policy.document.tls.client, alpn);
  await answerClient(flow, hello, leaf, alpn);
  await runRelay(flow, { origin, protocol: undefined, alpn: flow.facts.clientTls?.alpn, scheme: 'https' });
}

/** A plain origin chooses nothing: HTTP/1.1 where the client offers it, HTTP/2 where it knows nothing else (gRPC). */
function plainAlpn({ alpn }: ClientHello, h2: boolean): string | undefined {
  if (alpn.includes('http/1.1')) return 'http/1.1';
  return h2 && alpn.includes('h2') ? 'h2' : undefined;
}
