import { hash } from 'node:crypto';
import type { Address } from '../core/endpoint.ts';
import { parseIp } from './ip-address.ts';

/**
 * Community ID v1 of a flow (Corelight's specification, seed 0): the same for both directions, so that a record joins
 * those of sensors on the same wire. `protocol` is the IP protocol number, TCP by default.
 */
export function communityId(source: Address, destination: Address, protocol = 6): string {
  const from = addressOf(source);
  const to = addressOf(destination);
  // Ordered by address, then by port.
  const order = Buffer.compare(from, to) || source.port - destination.port;
  const [low, high] = order <= 0 ? [from, to] : [to, from];
  const [lowPort, highPort] = order <= 0 ? [source.port, destination.port] : [destination.port, source.port];
  const tuple = Buffer.alloc(seedBytes + low.length + high.length + 6);
  tuple.set(low, seedBytes);
  tuple.set(high, seedBytes + low.length);
  const rest = seedBytes + low.length + high.length;
  tuple[rest] = protocol;
  tuple.writeUInt16BE(lowPort, rest + 2);
  tuple.writeUInt16BE(highPort, rest + 4);
  return `1:${hash('sha1', tuple, 'base64')}`;
}

const seedBytes = 2;

function addressOf({ ip }: Address): Buffer {
  // Link-local addresses come from sockets with a zone, which is not on the wire.
  const address = parseIp(ip.includes('%') ? (ip.split('%', 1)[0] ?? ip) : ip);
  if (address === undefined) throw new RangeError(`not an IP address: ${ip}`);
  return address;
}
