import type { FlowFacts } from '../core/record.ts';
import { decide } from './decide.ts';
import type { Flow } from './flow.ts';

/** What policy makes of the host of one request on a connection that may serve several (RFC 9113 section 9.1.1). */
export interface AuthorityJudgement {
  /** The request may be inspected here; else it belongs on a connection of its own, for which policy decides anew. */
  readonly isInspected: boolean;
  /** Facts of the flow with the asset that this host belongs to. */
  readonly facts: FlowFacts;
}

/**
 * Judges the host of each request by itself: a browser sends requests for all names of a certificate over one connection,
 * and what policy says of the name that opened it need not hold for the others.
 */
export function authorityJudgeFor(flow: Flow): (host: string) => AuthorityJudgement {
  const { facts, policy, listener } = flow;
  const own: AuthorityJudgement = { isInspected: true, facts };
  const named = new Set([facts.serverName, facts.destination?.host]);
  const byAsset = new Map<string | undefined, FlowFacts>([[facts.asset?.id, facts]]);
  let lastHost = '';
  let last = own;
  return (host) => {
    // The decision on the connection was made for these, and of an absent host there is nothing to decide.
    if (host === '' || named.has(host) || facts.destination === undefined) return own;
    if (host === lastHost) return last;
    const reached = policy.assetOf(facts.client.ip, host, listener);
    const decision = decide(policy, { ...facts.destination, host }, undefined, { reached });
    const asset = reached === undefined ? undefined : { id: reached.id, kind: reached.kind };
    const known = byAsset.get(asset?.id) ?? withAsset(facts, asset);
    byAsset.set(asset?.id, known);
    lastHost = host;
    last = { isInspected: decision.kind !== 'bypass', facts: known };
    return last;
  };
}

/** The facts as they are now with another asset. What is counted is counted for the flow. */
function withAsset(facts: FlowFacts, asset: FlowFacts['asset']): FlowFacts {
  const countOf = (name: 'transactions' | 'alarms'): PropertyDescriptor => ({
    get: () => facts[name],
    set: (count: number) => {
      facts[name] = count;
    },
  });
  return Object.defineProperties(
    { ...facts, asset },
    {
      transactions: countOf('transactions'),
      alarms: countOf('alarms'),
    },
  );
}
