import type { Destination } from '../core/endpoint.ts';
import type { AssetPolicy } from '../core/policy.ts';
import type { Decision } from '../core/record.ts';
import type { PolicySnapshot } from './policy-snapshot.ts';

/**
 * Decides on a flow before TLS: pure. A refusal is stronger than a bypass, a bypass than a detect switch. `name` is the
 * server name of the ClientHello, if any: a bypass needs the name and the destination to agree on it, so that a client
 * cannot escape inspection by naming an exempt host and connecting elsewhere through the explicit proxy.
 */
export function decide(
  policy: PolicySnapshot,
  destination: Destination,
  name: string | undefined,
  asset: AssetPolicy | undefined,
): Decision {
  const { host, ip, port } = destination;
  const refused = policy.refuseReason(host, ip, port) ?? (name && policy.refuseReason(name, ip, port));
  if (refused) return { kind: 'refuse', reason: refused };
  const byDestination = policy.bypassReason(host, ip, asset?.id);
  const byName = name === undefined || name === host ? byDestination : policy.bypassReason(name, ip, asset?.id);
  const namedByAddress = destination.ip !== undefined && destination.host === destination.ip;
  if (byDestination !== undefined && byName !== undefined) return bypass(byDestination);
  if (namedByAddress && byName !== undefined) return bypass(byName);
  if (asset !== undefined) return { kind: asset.detect ? 'intercept' : 'bypass', reason: `asset ${asset.id}` };
  return { kind: policy.document.defaults.detect ? 'intercept' : 'bypass', reason: 'default' };
}

function bypass(reason: string): Decision {
  return { kind: 'bypass', reason: `bypass: ${reason}` };
}
