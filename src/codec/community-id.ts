import { hash } from 'node:crypto';
import type { Address } from '../core/endpoint.ts';
import { parseIp } from './ip-address.ts';

/**
 * Community ID v1 of a flow (Corelight's specification, seed 0): the same for both directions, so that a record joins
 * those of sensors on the same wire. `protocol` is the IP protocol number, TCP by default.
 */
export function communityId(source: Address, destination: Address, protocol = 6): string {
  const from = endpointBytes(source);
  const to = endpointBytes(destination);
  const [low, high] = isOrdered(from, to) ? [from, to] : [to, from];
  const addressBytes = low.length - 2;
  const tuple = Buffer.concat([
    seed,
    low.subarray(0, addressBytes),
    high.subarray(0, high.length - 2),
    Buffer.from([protocol, 0]),
    low.subarray(addressBytes),
    high.subarray(high.length - 2),
  ]);
  return `1:${hash('sha1', tuple, 'base64')}`;
}

const seed = Buffer.alloc(2);

/** The address followed by the port: the order of these bytes is the specification's order of endpoints. */
function endpointBytes({ ip, port }: Address): Buffer {
  // Link-local addresses come from sockets with a zone, which is not on the wire.
  const address = parseIp(ip.split('%', 1)[0] ?? ip);
  if (address === undefined) throw new RangeError(`not an IP address: ${ip}`);
  return Buffer.concat([address, Buffer.from([port >> 8, port & 0xff])]);
}

function isOrdered(from: Buffer, to: Buffer): boolean {
  return Buffer.compare(from, to) <= 0;
}
