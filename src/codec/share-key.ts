import { parseIp } from './ip-address.ts';

/**
 * By what clients are told apart where one may take no more than a share: an IPv4 address as it is, wherever IPv6 holds it
 * (mapped, and NAT64, RFC 6052), and the first half of an IPv6 address, since whoever has one has all that begin with it.
 */
export function shareKeyOf(ip: string): string {
  if (!ip.includes(':')) return ip;
  const zone = ip.indexOf('%');
  const bytes = parseIp(zone === -1 ? ip : ip.slice(0, zone));
  if (bytes === undefined) return ip;
  if (bytes.length === 4) return bytes.join('.');
  if (bytes.toString('hex', 0, 12) === nat64) return bytes.subarray(12).join('.');
  return `${bytes.toString('hex', 0, 8)}::/64`;
}

const nat64 = '0064ff9b0000000000000000';
