import type { Relay, Wire } from '../core/relay.ts';
import type { Flow } from './flow.ts';
import { scanOptionsFor } from './flow-scanners.ts';
import { hostRefusalFor } from './host-refusal.ts';
import { inspectHttp } from './inspect-http.ts';
import { createHttp2Relay } from './relay/http2.ts';
import { authorityJudgeFor } from './request-authority.ts';
import type { RelayOptions } from './run-relay.ts';
import { uninspected } from './uninspected.ts';

/** The relay of an HTTP/2 connection: every request is judged by its own host. */
export function http2RelayFor(flow: Flow, { hostAllowed, scheme }: RelayOptions, wire: Wire): Relay {
  const { facts, policy, plane } = flow;
  const judge = authorityJudgeFor(flow);
  const hostRefusal = hostRefusalFor(flow);
  const scan = scanOptionsFor(flow, scheme);
  facts.protocol = 'h2';
  return createHttp2Relay({
    wire,
    flowId: facts.flowId,
    shareKey: facts.shareKey,
    scheme,
    altSvc: policy.document.http.altSvc,
    upgrades: policy.document.http.upgrades,
    streamIdleMs: policy.document.timeouts.idleMs,
    exchange: (depth, host) => {
      const { facts: judged, isLeftAlone } = judge(host);
      if (isLeftAlone) return uninspected;
      return inspectHttp({
        flow: judged,
        rules: policy.rules,
        recorder: plane.recorder,
        bodyExcerptBytes: policy.document.records.bodyExcerptBytes,
        http: policy.document.http,
        scan,
      }).exchange(depth, host);
    },
    // What is bypassed belongs on a connection of its own: the client opens one when it is told so (421).
    hostAllowed: (host) => {
      const { isInspected, isLeftAlone } = judge(host);
      return hostAllowed?.(host) !== false && (isInspected || isLeftAlone);
    },
    ...(hostRefusal === undefined ? {} : { hostRefusal }),
  });
}
