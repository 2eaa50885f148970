import type { Flow } from './flow.ts';
import type { Scanner } from './scanners.ts';

/** The content scanners that apply to a flow, or to one of its requests when its host is given. */
export function scannersOf({ facts, policy, listener, hello }: Flow, requestHost?: string): readonly Scanner[] {
  if (policy.document.scanners.length === 0) return none;
  const { serverName, destination, asset } = facts;
  const reached = destination?.host;
  // The certificate proves the server name, but of a reverse listener, whose origin is the same whatever is asked for.
  const proven = hello !== undefined && listener.mode !== 'reverse' ? (serverName ?? reached) : reached;
  const ofRequest = requestHost === undefined ? undefined : policy.assetOf(facts.client.ip, requestHost, listener);
  return policy.scannersFor({
    hosts: [requestHost, serverName, reached].filter(isNamed),
    certainHosts: [requestHost, proven].filter(isNamed),
    assetIds: [asset?.id, ofRequest?.id].filter(isNamed),
  });
}

const none: readonly Scanner[] = [];

/** HTTP/2 leaves flow control to both ends, so that nothing can be held there: what is scanned is spoken in HTTP/1.1. */
export function mayUseHttp2(flow: Flow): boolean {
  return flow.policy.document.http.h2 && scannersOf(flow).length === 0;
}

function isNamed(host: string | undefined): host is string {
  return host !== undefined && host !== '';
}
