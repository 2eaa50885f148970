import { canonicalIp } from '../codec/ip-address.ts';
import type { Destination } from '../core/endpoint.ts';
import type { AssetPolicy } from '../core/policy.ts';
import type { Decision } from '../core/record.ts';
import type { PolicySnapshot } from './policy-snapshot.ts';

/** A decision, and the server name that it rests on where nothing but the ClientHello speaks for a bypass. */
export interface FlowDecision extends Decision {
  readonly restsOn?: string;
}

/** Assets of a flow: by whence it comes and where it goes, and the one that only its server name tells of. */
export interface FlowAssets {
  readonly reached?: AssetPolicy | undefined;
  readonly named?: AssetPolicy | undefined;
}

/**
 * Decides on a flow before TLS: pure. A refusal is stronger than a bypass, a bypass than a detect switch. `name` is the
 * server name of the ClientHello, if any, which a client may choose as it likes: it can make policy stricter, but a
 * bypass needs the destination to agree, so that nobody escapes inspection by naming an exempt host and going elsewhere.
 */
export function decide(
  policy: PolicySnapshot,
  destination: Destination,
  name: string | undefined,
  { reached, named }: FlowAssets,
): FlowDecision {
  const { host, port } = destination;
  // The origin of a published endpoint may be written as an address.
  const ip = destination.ip ?? canonicalIp(host);
  const refused = policy.refuseReason(host, ip, port) ?? (name && policy.refuseReason(name, ip, port));
  if (refused) return { kind: 'refuse', reason: refused };
  const byDestination = policy.bypassReason(host, ip, reached?.id);
  const byName =
    name === undefined || name === host ? byDestination : policy.bypassReason(name, ip, (reached ?? named)?.id);
  if (byDestination !== undefined && byName !== undefined) return bypass(byDestination);
  // A destination that is an address has no name to agree with.
  const restsOn = destination.ip !== undefined && destination.host === destination.ip ? name : undefined;
  if (restsOn !== undefined && byName !== undefined) return { ...bypass(byName), restsOn };
  if (reached !== undefined) return byDetectSwitch(reached);
  if (named?.detect === true) return byDetectSwitch(named);
  if (named !== undefined && restsOn !== undefined) return { ...byDetectSwitch(named), restsOn };
  return { kind: policy.document.defaults.detect ? 'intercept' : 'bypass', reason: byDefault };
}

/**
 * Whether a host that stands in plain HTTP can make policy stricter than a bypass that was decided without it, as a server
 * name can in TLS: a refusal is stronger than any bypass, an asset that is named than the default.
 */
export function mayHostTighten({ document }: PolicySnapshot, { reason }: Decision): boolean {
  if (document.refuse.some(({ hosts }) => hosts.length > 0)) return true;
  return reason === byDefault && document.assets.some(({ detect, hosts }) => detect && hosts.length > 0);
}

const byDefault = 'default';

function bypass(reason: string): Decision {
  return { kind: 'bypass', reason: `bypass: ${reason}` };
}

function byDetectSwitch({ id, detect }: AssetPolicy): Decision {
  return { kind: detect ? 'intercept' : 'bypass', reason: `asset ${id}` };
}
