import { networkInterfaces } from 'node:os';
import { canonicalIp } from '../codec/ip-address.ts';
import type { Address } from '../core/endpoint.ts';
import { limits } from '../core/limits.ts';
import type { ListenAddress } from '../core/policy.ts';

/** Gives the host's own addresses; replaced in tests. */
export type ReadOwnAddresses = () => readonly string[];

/**
 * Makes a test whether connecting to an address would reach one of these listeners: the gateway itself. Wildcard
 * listeners are reached at every address of the host, and `0.0.0.0` and `::` as destinations reach the loopback.
 */
export function createOwnAddressCheck(
  listeners: readonly ListenAddress[],
  readOwnAddresses: ReadOwnAddresses = readInterfaces,
): (address: Address) => boolean {
  const byPort = new Map<number, Set<string>>();
  for (const { ip, port } of listeners) {
    const ips = byPort.get(port) ?? new Set();
    byPort.set(port, ips.add(canonicalIp(ip) ?? ip));
  }
  const isLocal = createLocalCheck(readOwnAddresses);
  return (address) => {
    // Nearly every destination ends here: its port is none of ours.
    const listening = byPort.get(address.port);
    if (listening === undefined) return false;
    const ip = canonicalIp(withoutZone(address.ip)) ?? address.ip;
    if (unspecified.has(ip) || listening.has(ip)) return true;
    const wildcard = listening.has('::') || (listening.has('0.0.0.0') && !ip.includes(':'));
    return wildcard && isLocal(ip);
  };
}

const unspecified: ReadonlySet<string> = new Set(['0.0.0.0', '::']);

/** Addresses come and go with interfaces, so the list is read again after a while, when it is asked for. */
function createLocalCheck(readOwnAddresses: ReadOwnAddresses): (ip: string) => boolean {
  let own: ReadonlySet<string> = new Set();
  let expiresMs = Number.NEGATIVE_INFINITY;
  return (ip) => {
    if (ip.startsWith('127.') || ip === '::1') return true;
    const nowMs = performance.now();
    if (nowMs >= expiresMs) {
      own = new Set(readOwnAddresses().map((address) => canonicalIp(withoutZone(address)) ?? address));
      expiresMs = nowMs + limits.ownAddressesMs;
    }
    return own.has(ip);
  };
}

function readInterfaces(): readonly string[] {
  return Object.values(networkInterfaces()).flatMap((addresses) => addresses?.map(({ address }) => address) ?? []);
}

function withoutZone(ip: string): string {
  const zone = ip.indexOf('%');
  return zone === -1 ? ip : ip.slice(0, zone);
}
