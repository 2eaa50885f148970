import type { Decision, FlowFacts } from '../core/record.ts';
import type { RevocationMode } from '../core/revocation.ts';
import { decide } from './decide.ts';
import type { Flow } from './flow.ts';

/** What policy makes of the host of one request on a connection that may serve several (RFC 9110 section 7.4). */
export interface AuthorityJudgement {
  /** The request may be inspected here; else it belongs on a connection of its own, for which policy decides anew. */
  readonly isInspected: boolean;
  /** Policy leaves this request alone, on a connection that is read because it does not leave alone all hosts. */
  readonly isLeftAlone: boolean;
  /** Facts of the flow with the asset that this host belongs to, and the decision on it. */
  readonly facts: FlowFacts;
}

/**
 * Judges the host of each request by itself: a browser sends requests for all names of a certificate over one connection,
 * a client that hides where it goes names another in TLS (domain fronting), and what policy says of the name that opened
 * the connection need not hold for the others.
 */
export function authorityJudgeFor(flow: Flow): (host: string) => AuthorityJudgement {
  const { facts, policy, listener } = flow;
  const isExempt = facts.decision?.kind === 'bypass';
  const own: AuthorityJudgement = { isInspected: true, isLeftAlone: isExempt, facts };
  const named = new Set([facts.serverName, facts.destination?.host]);
  const byAsset = new Map<string | undefined, FlowFacts>([[facts.asset?.id, facts]]);
  // Nothing is to be decided of an absent host.
  let lastHost = '';
  let last = own;
  const judged = (host: string): AuthorityJudgement => {
    if (facts.destination === undefined) return own;
    // The decision on the connection was made for these; the origin was judged as one of them.
    if (named.has(host)) return isReachedAlike(flow, host, facts.asset?.id) ? own : { ...own, isInspected: false };
    const reached = policy.assetOf(facts.client.ip, host, listener);
    const decision = decide(policy, { ...facts.destination, host }, undefined, { reached });
    const asset = reached === undefined ? undefined : { id: reached.id, kind: reached.kind };
    const known = byAsset.get(asset?.id) ?? withAsset(facts, asset, decision);
    byAsset.set(asset?.id, known);
    const isBypassed = decision.kind === 'bypass';
    return {
      isInspected: !isBypassed && isReachedAlike(flow, host, asset?.id),
      isLeftAlone: isBypassed && isExempt,
      facts: known,
    };
  };
  return (host) => {
    if (host === lastHost) return last;
    const judgement = host === '' ? own : judged(host);
    lastHost = host;
    last = judgement;
    return judgement;
  };
}

/**
 * Whether the origin leg is as policy wants it for this host. One that was opened for another name was judged by what
 * policy forgives that name, and by how it asks about revocation there: a stricter host gets a leg of its own.
 */
function isReachedAlike(flow: Flow, host: string, assetId: string | undefined): boolean {
  const { facts, policy, originSecurity } = flow;
  if (originSecurity === undefined || originSecurity.name === host) return true;
  const forgiven = policy.exceptionFor(originSecurity.name)?.allow ?? [];
  const allowed = policy.exceptionFor(host)?.allow ?? [];
  if (!forgiven.every((each) => allowed.includes(each))) return false;
  if (!isAskedAlike(flow, policy.revocationMode(host, assetId))) return false;
  // Who the client is to the origin stands with the leg: a request for one host must not go by the certificate for another.
  const shown = policy.clientCertificateFor(originSecurity.name, facts.asset?.id);
  return policy.clientCertificateFor(host, assetId) === shown;
}

/** How much a mode of revocation asks of an origin. */
const demands: Readonly<Record<RevocationMode, number>> = { off: 0, 'soft-fail': 1, 'hard-fail': 2 };

/** Whether what was found out about revocation is as much as a mode asks for. */
function isAskedAlike({ facts, policy, originSecurity }: Flow, mode: RevocationMode): boolean {
  if (originSecurity === undefined || facts.originRevocation?.status === 'good') return true;
  return demands[mode] <= demands[policy.revocationMode(originSecurity.name, facts.asset?.id)];
}

/** The facts as they are now with another asset. What is counted is counted for the flow. */
function withAsset(facts: FlowFacts, asset: FlowFacts['asset'], decision: Decision): FlowFacts {
  const shared = (name: 'transactions' | 'alarms' | 'failuresTold'): PropertyDescriptor => ({
    enumerable: true,
    get: () => facts[name],
    set: (value: never) => {
      facts[name] = value;
    },
  });
  const own = decision.kind === 'intercept' ? decision : facts.decision;
  return Object.defineProperties(
    { ...facts, asset, decision: own },
    {
      transactions: shared('transactions'),
      alarms: shared('alarms'),
      failuresTold: shared('failuresTold'),
    },
  );
}
