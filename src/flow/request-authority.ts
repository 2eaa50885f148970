import type { Decision, FlowFacts } from '../core/record.ts';
import { decide } from './decide.ts';
import type { Flow } from './flow.ts';

/** What policy makes of the host of one request on a connection that may serve several (RFC 9110 section 7.4). */
export interface AuthorityJudgement {
  /** The request may be inspected here; else it belongs on a connection of its own, for which policy decides anew. */
  readonly isInspected: boolean;
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
  const own: AuthorityJudgement = { isInspected: true, facts };
  const named = new Set([facts.serverName, facts.destination?.host]);
  const byAsset = new Map<string | undefined, FlowFacts>([[facts.asset?.id, facts]]);
  // Nothing is to be decided of an absent host.
  let lastHost = '';
  let last = own;
  const judged = (host: string): AuthorityJudgement => {
    // The decision on the connection was made for these.
    if (named.has(host) || facts.destination === undefined) return own;
    const reached = policy.assetOf(facts.client.ip, host, listener);
    const decision = decide(policy, { ...facts.destination, host }, undefined, { reached });
    const asset = reached === undefined ? undefined : { id: reached.id, kind: reached.kind };
    const known = byAsset.get(asset?.id) ?? withAsset(facts, asset, decision);
    byAsset.set(asset?.id, known);
    return { isInspected: decision.kind !== 'bypass' && isReachedAlike(flow, host, asset?.id), facts: known };
  };
  return (host) => {
    if (host === lastHost) return last;
    const judgement = host === '' ? own : judged(host);
    lastHost = host;
    last = judgement;
    return judgement;
  };
}

/** Whether the origin leg, which was opened for another name, is as policy wants it for this host. */
function isReachedAlike({ facts, policy, originSecurity }: Flow, host: string, assetId: string | undefined): boolean {
  if (originSecurity === undefined) return true;
  // Who the client is to the origin stands with the leg: a request for one host must not go by the certificate for another.
  const shown = policy.clientCertificateFor(originSecurity.name, facts.asset?.id);
  return policy.clientCertificateFor(host, assetId) === shown;
}

/** The facts as they are now with another asset. What is counted is counted for the flow. */
function withAsset(facts: FlowFacts, asset: FlowFacts['asset'], decision: Decision): FlowFacts {
  const countOf = (name: 'transactions' | 'alarms'): PropertyDescriptor => ({
    enumerable: true,
    get: () => facts[name],
    set: (count: number) => {
      facts[name] = count;
    },
  });
  const own = decision.kind === 'intercept' ? decision : facts.decision;
  return Object.defineProperties(
    { ...facts, asset, decision: own },
    {
      transactions: countOf('transactions'),
      alarms: countOf('alarms'),
    },
  );
}
