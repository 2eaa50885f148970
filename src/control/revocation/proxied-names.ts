import { isIP } from 'node:net';
import { compileCidrs } from '../../codec/host.ts';
import { isPublicAddress } from '../../net/public-address.ts';
import { createResolver, type Resolve } from '../../net/resolve.ts';
import { isRegistered } from '../../pki/public-suffix.ts';
import type { RevocationSettings } from './revocation-settings.ts';

/** How long a name is looked up here before it is judged by itself: behind a proxy there may be nobody to ask. */
const lookUpMs = 1_000;

/** Names that lead nowhere but within a network, whatever a list says of them (RFC 6761, RFC 6762, RFC 8375, RFC 9476). */
const ownNames = /(?:^|\.)(?:localhost|local|internal|home\.arpa|onion|alt|test|invalid|example)$/;

/**
 * Tells whether an upstream proxy may be asked for a URL of a certificate. The proxy resolves the name, so what it will
 * dial cannot be judged; but it is refused what resolves to no public address here, and what no registry has a name for.
 */
export function createProxiedTest(
  { allowAddresses }: Pick<RevocationSettings, 'allowAddresses'>,
  ask?: Resolve,
): (host: string) => Promise<boolean> {
  const isOpened = compileCidrs(allowAddresses);
  const isAllowed = (ip: string): boolean => isOpened(ip) || isPublicAddress(ip);
  const resolve = createResolver({ timeoutMs: lookUpMs, ...(ask === undefined ? {} : { ask }) });
  return async (host) => {
    if (isIP(host) !== 0) return isAllowed(host);
    const addresses = await resolve(host).catch(() => []);
    // One address within is enough to be refused: the proxy may choose any.
    if (addresses.length > 0) return addresses.every(isAllowed);
    return !ownNames.test(host) && isRegistered(host);
  };
}
