import type { Flow } from './flow.ts';
import type { ScanOptions } from './scan-exchanges.ts';
import type { Scanner } from './scanners.ts';

/** How the messages of a flow are scanned; undefined where policy has no scanners. */
export function scanOptionsFor(flow: Flow, scheme: ScanOptions['scheme']): ScanOptions | undefined {
  if (flow.policy.document.scanners.length === 0) return undefined;
  return { scheme, shareKey: flow.facts.shareKey, scannersOf: (requestHost) => scannersOf(flow, requestHost) };
}

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

function isNamed(host: string | undefined): host is string {
  return host !== undefined && host !== '';
}
