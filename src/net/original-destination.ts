import type { Socket } from 'node:net';
import { canonicalIp } from '../codec/ip-address.ts';
import type { Address } from '../core/endpoint.ts';
import { FlowFailure } from '../core/failures.ts';
import { descriptorOf, natDestination } from './socket-options.ts';

/**
 * Where the client of a transparent listener meant to go. A connection made to the listener itself yields the
 * listener's own address, which the caller tells by its own-address check. Throws FlowFailure CLIENT_GONE,
 * GATEWAY_ORIGINAL_DESTINATION or GATEWAY_SOCKET_OPTION.
 */
export function originalDestination(socket: Socket, capture: 'redirect' | 'tproxy'): Address {
  const local = localAddressOf(socket);
  // TPROXY leaves the destination as it is: the accepted socket has it for its own address.
  if (capture === 'tproxy') return local;
  const fd = descriptorOf(socket);
  if (fd === undefined) throw new FlowFailure('CLIENT_GONE', 'before its destination was known');
  return natDestination(fd, local.ip.includes(':') ? 6 : 4);
}

/** The remote address of a connected socket, IPv4-mapped as IPv4. Throws FlowFailure CLIENT_GONE when it is closed. */
export function remoteAddressOf(socket: Socket): Address {
  return addressOf(socket.remoteAddress, socket.remotePort);
}

/** The local address of a connected socket, IPv4-mapped as IPv4. Throws FlowFailure CLIENT_GONE when it is closed. */
export function localAddressOf(socket: Socket): Address {
  return addressOf(socket.localAddress, socket.localPort);
}

function addressOf(ip: string | undefined, port: number | undefined): Address {
  if (ip === undefined || port === undefined) throw new FlowFailure('CLIENT_GONE', 'the connection is closed');
  return { ip: bareIp(ip), port };
}

/** Most clients are IPv4 on an IPv4 socket and need no parsing. */
function bareIp(ip: string): string {
  if (!ip.includes(':')) return ip;
  const zone = ip.indexOf('%');
  return canonicalIp(zone === -1 ? ip : ip.slice(0, zone)) ?? ip;
}
