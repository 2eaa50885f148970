import type { Inspector } from '../core/http.ts';
import type { FlowFacts } from '../core/record.ts';
import type { Relay, Wire } from '../core/relay.ts';
import { decideOnDestination } from './decide-destination.ts';
import type { Flow } from './flow.ts';
import { scanOptionsFor } from './flow-scanners.ts';
import { hostRefusalFor } from './host-refusal.ts';
import { inspectHttp } from './inspect-http.ts';
import { createHttp1Relay } from './relay/http1.ts';
import { isSameDestination } from './relay/http1-admission.ts';
import { authorityJudgeFor } from './request-authority.ts';
import type { RelayOptions } from './run-relay.ts';
import { uninspected } from './uninspected.ts';

/** The relay of an HTTP/1.1 connection: every request is judged by its own host. */
export function http1RelayFor(flow: Flow, options: RelayOptions, wire: Wire): Relay {
  const { facts, policy } = flow;
  facts.protocol = 'http/1.1';
  const hostRefusal = hostRefusalFor(flow);
  const { dial, scheme, hostAllowed, onUntilClose, isPermitted } = options;
  const judge = authorityJudgeFor(flow);
  // What is bypassed belongs on a connection of its own, where TLS names it: the client opens one when it is told so (421).
  // In the clear nothing could prove another connection to be of that host.
  const isOwn = (host: string): boolean => hostAllowed?.(host) !== false && judge(host).isInspected;
  return createHttp1Relay({
    wire,
    inspector: dial === undefined ? inspectorByHost(flow, options, judge) : inspectorByDestination(flow, options),
    flowId: facts.flowId,
    shareKey: facts.shareKey,
    mode: dial === undefined ? 'origin-form' : 'proxy',
    scheme,
    upgrades: policy.document.http.upgrades,
    ...(onUntilClose === undefined ? {} : { onUntilClose }),
    ...(hostRefusal === undefined ? {} : { hostRefusal }),
    ...(scheme === 'https' ? { hostAllowed: isOwn } : {}),
    ...(isPermitted === undefined ? {} : { isPermitted }),
  });
}

/** One origin, whatever hosts are asked of it: rules and record name the asset of each. */
function inspectorByHost(flow: Flow, options: RelayOptions, judge: ReturnType<typeof authorityJudgeFor>): Inspector {
  const { facts } = flow;
  const own = inspectorOf(flow, options, facts);
  const others = new Map<FlowFacts, Inspector>();
  return {
    exchange: (depth, host) => {
      const { facts: judged, isLeftAlone } = judge(host);
      if (isLeftAlone) return uninspected;
      if (judged === facts) return own.exchange(depth, host);
      const inspector = others.get(judged) ?? inspectorOf(flow, options, judged);
      others.set(judged, inspector);
      return inspector.exchange(depth, host);
    },
  };
}

/** A proxy client may go from a bypassed destination to an inspected one on the same connection, and back. */
function inspectorByDestination(flow: Flow, options: RelayOptions): Inspector {
  const { facts } = flow;
  const inspected = inspectorOf(flow, options, facts);
  return {
    exchange: (depth, host, destination) => {
      if (destination !== undefined && !isSameDestination(destination, facts.destination)) {
        decideOnDestination(flow, destination);
      }
      return facts.decision?.kind === 'bypass' ? uninspected : inspected.exchange(depth, host);
    },
  };
}

function inspectorOf(flow: Flow, options: RelayOptions, facts: FlowFacts): Inspector {
  const { policy, plane } = flow;
  return inspectHttp({
    flow: facts,
    rules: policy.rules,
    recorder: plane.recorder,
    bodyExcerptBytes: policy.document.records.bodyExcerptBytes,
    http: policy.document.http,
    scan: scanOptionsFor(flow, options.scheme),
  });
}
