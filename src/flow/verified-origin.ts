import type { Socket } from 'node:net';
import type { RevocationMode } from '../core/revocation.ts';
import type { OriginIdentity } from '../core/tls.ts';
import { count } from '../metrics/counters.ts';
import { WatchedTransport } from '../net/watched-transport.ts';
import { noFloor, originFloorOf } from '../pki/origin-floor.ts';
import { clearable } from './clear-leg.ts';
import type { Flow } from './flow.ts';
import type { FetchIssuers } from './judge-origin.ts';
import { type JudgedLeg, OriginCheckFailure, type OriginLeg, openOriginLeg } from './origin-leg.ts';
import type { Tunnel } from './relay-tunnel.ts';
import { unrevokedPathOf } from './unrevoked-path.ts';

/** What the client asked for that the origin leg mirrors. */
export interface OriginWishes {
  /** Canonical server name; undefined when the client named none. */
  readonly serverName: string | undefined;
  readonly alpn: readonly string[];
}

/**
 * Opens TLS over a connection to the origin of a flow and proves who it is. What is learned of the origin is noted in
 * the facts, after a failed check too. Rejects with OriginCheckFailure.
 */
export async function openVerifiedOrigin(
  flow: Flow,
  tunnel: Tunnel,
  transport: Socket,
  { serverName, alpn }: OriginWishes,
): Promise<OriginLeg> {
  const name = nameToVerify(tunnel, serverName) ?? tunnel.destination.host;
  const exception = flow.policy.exceptionFor(name);
  const { keyShares, endWatched } = flow.plane;
  const address = originKey(name, tunnel);
  const nowMs = Date.now();
  const isWatched = endWatched.has(address, nowMs) && !exception?.allow.includes('missing-close-notify');
  if (exception !== undefined) flow.facts.originExceptions = [`${exception.reason}: ${exception.allow.join(', ')}`];
  const mode = flow.policy.revocationMode(name, flow.facts.asset?.id);
  const clientCertificate = flow.policy.clientCertificateFor(name, flow.facts.asset?.id);
  const context = flow.policy.originContext({
    exception,
    keyShares: keyShares.prefersClassical(address, nowMs) ? 'classical' : 'all',
    floor: flow.hello === undefined ? noFloor : originFloorOf(flow.hello),
    clientCertificate,
  });
  try {
    const leg = await openOriginLeg({
      transport: clearable(flow, 'origin', transport) ?? (isWatched ? new WatchedTransport(transport) : transport),
      watchesEnd: isWatched,
      context,
      offersCertificate: clientCertificate !== undefined,
      trust: flow.policy.originTrust,
      fetchIssuers: fetchIssuersFor(flow),
      name,
      serverName: isAddress(name) ? undefined : name,
      alpn,
      exception,
      timeoutMs: flow.policy.document.timeouts.handshakeMs,
      requestStaple: mode !== 'off',
      onKeys: flow.plane.keyLog?.origin,
    });
    flow.facts.originTls = leg.tls;
    const { fingerprint256: fingerprint } = leg.identity.certificate;
    flow.originSecurity = { context, name, serverName: leg.tls.serverName, fingerprint };
    keyShares.learn(address, leg.tls.group ?? '', nowMs);
    count(`daylight_tls_sessions_total{leg="origin",resumed="${leg.tls.resumed}"}`);
    // A chain that an exception accepts although it leads nowhere names nobody who could revoke it.
    if (mode === 'off' || exception?.allow.includes('untrusted')) return legOf(leg, leg.identity);
    return await refuseRevoked(flow, leg, mode);
  } catch (error) {
    flow.facts.originTls = (error as OriginCheckFailure).leg;
    throw error;
  }
}

/** Notes that the origin of a leg ends bodies by ending the connection: its next legs are watched for how they end. */
export function watchEndsOf(flow: Flow, tunnel: Tunnel, { identity }: OriginLeg): void {
  flow.plane.endWatched.note(originKey(identity.name, tunnel), Date.now());
}

function originKey(name: string, { destination }: Tunnel): string {
  return `${name}:${destination.port}`;
}

/**
 * The leg with a path on which nothing is revoked. The origin has received no byte of the client by then. Rejects with
 * OriginCheckFailure, and the leg is gone.
 */
async function refuseRevoked(flow: Flow, leg: JudgedLeg, mode: RevocationMode): Promise<OriginLeg> {
  // The origin may close while others are asked about it; the pump learns it as soon as it runs.
  leg.socket.on('error', ignore);
  const { plane, facts } = flow;
  const found = await unrevokedPathOf(leg, {
    mode,
    ask: plane.askRevocation,
    client: facts.shareKey,
    timeoutMs: flow.policy.document.revocation.timeoutMs,
  });
  const { status, source, detail } = found.outcome;
  flow.facts.originRevocation = found.outcome;
  count(`daylight_origin_revocation_total{status="${status}",source="${source}"}`);
  if (found.kind === 'found') return legOf(leg, found.identity);
  leg.socket.destroy();
  const code = status === 'revoked' ? 'ORIGIN_CERT_REVOKED' : 'ORIGIN_REVOCATION_UNKNOWN';
  const failure = new OriginCheckFailure(code, `${detail} (by ${source})`);
  failure.leg = leg.tls;
  throw failure;
}

function fetchIssuersFor({ policy, plane, facts }: Flow): FetchIssuers | undefined {
  if (!policy.document.originTrust.fetchIntermediates) return undefined;
  return (addresses) => plane.fetchIssuers(addresses, facts.shareKey);
}

function legOf({ socket, tls }: JudgedLeg, identity: OriginIdentity): OriginLeg {
  return { socket, identity, tls };
}

function ignore(): void {}

/**
 * What the client names comes before what is configured, since the leaf has to satisfy the client. Where the listener
 * shows its own certificate, the name that the origin goes by is the operator's affair alone.
 */
function nameToVerify({ verifyAs, ownCertificate }: Tunnel, serverName: string | undefined): string | undefined {
  return ownCertificate === undefined ? (serverName ?? verifyAs) : (verifyAs ?? serverName);
}

function isAddress(name: string): boolean {
  return name.includes(':') || /^[0-9.]+$/.test(name);
}
