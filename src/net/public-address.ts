import { compileCidrs } from '../codec/host.ts';

/**
 * Addresses that no public name should lead to (IANA special-purpose registries, RFC 6890): private and shared networks,
 * this host, link-local, documentation, benchmarks, translation prefixes that hide another address, multicast, reserved. An
 * IPv4-mapped address is judged as the IPv4 address that it is.
 */
const isSpecial = compileCidrs([
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/3',
  '::/96',
  '64:ff9b::/96',
  '64:ff9b:1::/48',
  '100::/64',
  '2001::/23',
  '2001:db8::/32',
  '2002::/16',
  'fc00::/7',
  'fe80::/9',
  'ff00::/8',
]);

/** Whether an address belongs to the internet at large. */
export function isPublicAddress(ip: string): boolean {
  return !isSpecial(ip);
}
