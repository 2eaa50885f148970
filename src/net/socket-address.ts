import { formatIp, parseIp } from '../codec/ip-address.ts';
import type { Address } from '../core/endpoint.ts';

/** Numbers of the address families on Linux. */
export const familyIpv4 = 2;
export const familyIpv6 = 10;

/** Length of a sockaddr_in6, the longest that is used here. */
export const longestSocketAddress = 28;

/** Makes a struct sockaddr_in or sockaddr_in6 (ip(7), ipv6(7)) of an address. The family is in host order, all else in network order. */
export function encodeSocketAddress(address: Address): Buffer {
  const ip = parseIp(address.ip);
  if (ip === undefined) throw new RangeError(`not an IP address: ${address.ip}`);
  const ipv4 = ip.length === 4;
  const bytes = Buffer.alloc(ipv4 ? 16 : longestSocketAddress);
  bytes.writeUInt16LE(ipv4 ? familyIpv4 : familyIpv6, 0);
  bytes.writeUInt16BE(address.port, 2);
  ip.copy(bytes, ipv4 ? 4 : 8);
  return bytes;
}

/** Reads a struct sockaddr_in or sockaddr_in6; IPv4-mapped IPv6 becomes IPv4. Undefined for other families. */
export function decodeSocketAddress(bytes: Buffer): Address | undefined {
  const family = bytes.readUInt16LE(0);
  const port = bytes.readUInt16BE(2);
  if (family === familyIpv4) return { ip: formatIp(bytes.subarray(4, 8)), port };
  if (family !== familyIpv6) return undefined;
  const ip = bytes.subarray(8, 24);
  const mapped = ip.readUIntBE(0, 6) === 0 && ip.readUIntBE(6, 6) === 0xffff;
  return { ip: formatIp(mapped ? ip.subarray(12) : ip), port };
}

/** An address as people write it: `10.0.0.1:443`, `[2001:db8::1]:443`. */
export function formatAddress(address: Address): string {
  return address.ip.includes(':') ? `[${address.ip}]:${address.port}` : `${address.ip}:${address.port}`;
}
