import type { Socket } from 'node:net';
import { canonicalIp } from '../codec/ip-address.ts';
import type { Flow } from './flow.ts';
import type { Tunnel } from './relay-tunnel.ts';

/**
 * Dials the origin of a flow that only its server name exempts from inspection. Any client can name any host, so the
 * flow goes where that name leads: to the client's own address when the name has it, else to one that it has (answers
 * for one name differ from one resolver and minute to the next). Undefined when the name leads nowhere: then it exempts
 * nothing. `origin` is what was dialled already.
 */
export async function dialByName(
  flow: Flow,
  tunnel: Tunnel,
  name: string,
  origin: Socket | undefined,
): Promise<Socket | undefined> {
  const { ip, port } = tunnel.destination;
  const isProxied = flow.policy.document.upstream !== undefined && !flow.policy.bypassesUpstream(name);
  // The upstream proxy resolves names; the gateway behind it may not be able to.
  const addresses = isProxied ? undefined : await flow.plane.resolve(name, flow.facts.shareKey).catch(() => []);
  if (addresses?.length === 0) return undefined;
  if (addresses?.some((address) => canonicalIp(address) === ip)) return origin ?? tunnel.dial();
  origin?.destroy();
  return tunnel.dial({ host: name, port });
}
