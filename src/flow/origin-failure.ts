import { type FailureCode, FlowFailure } from '../core/failures.ts';
import type { OriginFailureAction } from '../core/policy.ts';
import type { FlowFacts } from '../core/record.ts';
import { count } from '../metrics/counters.ts';
import { dialByName } from './dial-by-name.ts';
import type { Flow } from './flow.ts';
import type { PolicySnapshot } from './policy-snapshot.ts';
import type { Tunnel } from './relay-tunnel.ts';
import { spliceFlow } from './splice-flow.ts';

/** What policy wants when the origin of a flow fails its check. */
interface OriginFailurePlan {
  readonly action: OriginFailureAction;
  /** The server name that a bypass rests on where nothing but the ClientHello speaks for it. */
  readonly restsOn?: string;
}

/** Failures that a client can judge itself, and that a page behind an untrusted leaf explains. */
const checks = /^ORIGIN_(?:CERT|TLS|REVOCATION)_/;
/**
 * The origin is of an authority that clients trust although its key is not its owner's alone: ours, which every client
 * has installed, or one of those that once came with computers. A client that judges such a chain itself is deceived.
 */
const deceptive: ReadonlySet<FailureCode> = new Set<FailureCode>([
  'ORIGIN_CERT_OWN_AUTHORITY',
  'ORIGIN_CERT_DISTRUSTED',
]);

/**
 * A flow whose origin failed its check, before any byte reached the client: where policy says so, the origin is dialled
 * anew and the client's own handshake is passed on to it, so that the client judges the real certificate. Otherwise the
 * failure goes on to where it is told.
 */
export async function afterOriginFailure(flow: Flow, tunnel: Tunnel, error: unknown): Promise<void> {
  if (!(error instanceof FlowFailure) || !isJudgeable(error.code)) throw error;
  const { action, restsOn } = planFor(flow, error.code);
  if (action !== 'bypass') throw error;
  flow.origin?.destroy();
  if (error.code === 'ORIGIN_CLIENT_CERT_REQUIRED') {
    const nowMs = Date.now();
    const { bypassMs } = flow.policy.document.originClientCertificates;
    flow.plane.demands.learn(flow.facts, nowMs + bypassMs, nowMs);
  }
  const origin =
    restsOn === undefined
      ? await tunnel.dial(tunnel.destination)
      : await dialByName(flow, { ...tunnel, dial: (to = tunnel.destination) => tunnel.dial(to) }, restsOn, undefined);
  if (origin === undefined) throw error;
  noteUnread(flow.facts, error);
  flow.answerLayer = 'none';
  await spliceFlow(flow, origin, 'tls');
}

/** Notes that a client is left to judge the origin itself. */
export function noteUnread(facts: FlowFacts, { code, detail }: FlowFailure): void {
  facts.decision = { kind: 'bypass', reason: `origin failure: ${code}` };
  facts.bypassedFailure = { code, detail };
  count(`daylight_bypassed_failures_total{code="${code}"}`);
}

/** Whether a failed check is answered by the untrusted authority's leaf and a page. */
export function warnsOf(flow: Flow, code: FailureCode): boolean {
  return checks.test(code) && planFor(flow, code).action === 'warn';
}

function isJudgeable(code: FailureCode): boolean {
  return (checks.test(code) || isOfHandshake(code)) && !deceptive.has(code);
}

/** The client may have what the gateway has not: a certificate of its own, or an older protocol. */
function isOfHandshake(code: FailureCode): boolean {
  return code === 'ORIGIN_HANDSHAKE_FAILED' || code === 'ORIGIN_CLIENT_CERT_REQUIRED';
}

/** Whether a flow is passed on unread when its origin fails so. */
export function passesUnread(flow: Flow, code: FailureCode): boolean {
  return isJudgeable(code) && planFor(flow, code).action === 'bypass';
}

/** Origins that ask for a certificate may have a rule of their own. */
function planFor(flow: Flow, code: FailureCode): OriginFailurePlan {
  const byHost = flow.policy.onOriginFailure;
  const bypasses =
    code === 'ORIGIN_CLIENT_CERT_REQUIRED' && flow.policy.document.originClientCertificates.onDemand === 'bypass';
  return originFailurePlan(flow, bypasses ? () => 'bypass' : byHost);
}

/**
 * A client may name any host, so that its server name alone can make policy stricter, never looser: the destination has
 * to agree, and where that is an address only, a bypass leads to where the name does (as in decide).
 */
function originFailurePlan(
  { facts, policy, listener }: Flow,
  actionOf: PolicySnapshot['onOriginFailure'],
): OriginFailurePlan {
  const { destination, serverName } = facts;
  const host = destination?.host;
  const reached = policy.assetOf(facts.client.ip, host, listener);
  const byDestination = actionOf(host, reached);
  if (serverName === undefined || serverName === host) return { action: byDestination };
  const named = reached ?? policy.assetOf(facts.client.ip, serverName, listener);
  const byName = actionOf(serverName, named);
  const isAddress = destination?.ip !== undefined && destination.ip === host;
  if (isAddress) return byName === 'bypass' ? { action: byName, restsOn: serverName } : { action: byName };
  return { action: strictness[byName] > strictness[byDestination] ? byName : byDestination };
}

const strictness: Readonly<Record<OriginFailureAction, number>> = { bypass: 0, warn: 1, close: 2 };
