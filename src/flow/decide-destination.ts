import type { Destination } from '../core/endpoint.ts';
import type { Decision } from '../core/record.ts';
import { decide } from './decide.ts';
import { type Flow, setDestination } from './flow.ts';

/** Decides on a flow by its destination alone, before anything is dialled or judged, and notes both in the facts. */
export function decideOnDestination(flow: Flow, destination: Destination): Decision {
  const { facts, policy } = flow;
  setDestination(flow, destination);
  const reached = policy.document.assets.find(({ id }) => id === facts.asset?.id);
  facts.decision = decide(policy, destination, undefined, { reached });
  return facts.decision;
}
