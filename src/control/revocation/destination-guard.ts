import { isIP } from 'node:net';
import { buildConnector } from 'undici';
import { compileCidrs } from '../../codec/host.ts';
import type { Address } from '../../core/endpoint.ts';
import { limits } from '../../core/limits.ts';
import { createOwnAddressCheck } from '../../net/own-addresses.ts';
import { isPublicAddress } from '../../net/public-address.ts';
import { createResolver } from '../../net/resolve.ts';
import { RefusedAddress } from './refused-address.ts';
import type { RevocationSettings } from './revocation-settings.ts';

type Connect = ReturnType<typeof buildConnector>;

/**
 * Connects to where a URL of a certificate leads, unless that is an address that the operator did not open: certificates
 * come from strangers, and the gateway stands where private networks are near. The address that was judged is the one
 * that is dialled, so that no second look-up can lead elsewhere.
 */
export function createGuardedConnect(settings: RevocationSettings): Connect {
  const isAllowed = addressTest(settings);
  const resolve = createResolver();
  const connect = buildConnector({ timeout: limits.connectTimeoutMs });
  return (options, callback) => {
    const host = options.hostname.replace(/^\[|\]$/g, '');
    const port = options.port === '' ? 80 : Number(options.port);
    const addresses = isIP(host) === 0 ? resolve(host) : Promise.resolve([host]);
    addresses.then(
      (ips) => {
        const ip = ips.find((each) => isAllowed({ ip: each, port }));
        if (ip === undefined) return callback(new RefusedAddress('address is not public'), null);
        connect({ ...options, hostname: ip }, callback);
      },
      () => callback(new Error('name does not resolve'), null),
    );
  };
}

function addressTest({ allowAddresses, ownListeners }: RevocationSettings): (address: Address) => boolean {
  const isOpened = compileCidrs(allowAddresses);
  const isOwn = createOwnAddressCheck(ownListeners);
  return (address) => !isOwn(address) && (isOpened(address.ip) || isPublicAddress(address.ip));
}
