import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { count } from '../metrics/counters.ts';
import type { Flow } from './flow.ts';
import { type OriginCheckFailure, type OriginLeg, openOriginLeg } from './origin-leg.ts';
import type { Tunnel } from './relay-tunnel.ts';

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
  const { keyShares } = flow.plane;
  const address = `${name}:${tunnel.destination.port}`;
  const nowMs = Date.now();
  if (exception !== undefined) flow.facts.originExceptions = [`${exception.reason}: ${exception.allow.join(', ')}`];
  try {
    const leg = await openOriginLeg({
      transport,
      context: flow.policy.originContext(exception, keyShares.prefersClassical(address, nowMs) ? 'classical' : 'all'),
      trust: flow.policy.originTrust,
      fetchIssuers: undefined,
      name,
      serverName: isAddress(name) ? undefined : name,
      alpn,
      exception,
      timeoutMs: flow.policy.document.timeouts.handshakeMs,
    });
    flow.facts.originTls = leg.tls;
    keyShares.learn(address, groupOf(leg.socket), nowMs);
    count(`daylight_tls_sessions_total{leg="origin",resumed="${leg.tls.resumed}"}`);
    return leg;
  } catch (error) {
    flow.facts.originTls = (error as OriginCheckFailure).leg;
    throw error;
  }
}

/** Name of the group that the keys of a leg were agreed in; empty where there was none. */
function groupOf(socket: TLSSocket): string {
  const { name } = (socket.getEphemeralKeyInfo() ?? {}) as { readonly name?: string };
  return name ?? '';
}

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
