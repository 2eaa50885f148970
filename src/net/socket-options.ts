import type { Socket } from 'node:net';
import type { Address } from '../core/endpoint.ts';
import { FlowFailure } from '../core/failures.ts';
import { libc } from './libc.ts';
import { decodeSocketAddress, longestSocketAddress } from './socket-address.ts';

/** Levels and options of Linux: socket(7), ip(7), ipv6(7), linux/netfilter_ipv4.h, linux/netfilter_ipv6/ip6_tables.h. */
const levelSocket = 1;
const levelIp = 0;
const levelIpv6 = 41;

/** A socket option by its number, with the name that an error calls it by. */
export interface SocketOption {
  readonly name: string;
  readonly level: number;
  readonly option: number;
}
const named = (name: string, level: number, option: number): SocketOption => ({ name, level, option });

/** The options that are set here; all of them take an int. */
export const socketOptions = {
  reuseAddress: named('SO_REUSEADDR', levelSocket, 2),
  reusePort: named('SO_REUSEPORT', levelSocket, 15),
  mark: named('SO_MARK', levelSocket, 36),
  ipv6Only: named('IPV6_V6ONLY', levelIpv6, 26),
  transparentIpv4: named('IP_TRANSPARENT', levelIp, 19),
  transparentIpv6: named('IPV6_TRANSPARENT', levelIpv6, 75),
  /** An address that is not this host's may be bound; needs no privilege. */
  freeBindIpv4: named('IP_FREEBIND', levelIp, 15),
  freeBindIpv6: named('IPV6_FREEBIND', levelIpv6, 78),
  /** The port of a bound source address is chosen when the destination is known: no 28 000 flows per client. */
  bindAddressNoPort: named('IP_BIND_ADDRESS_NO_PORT', levelIp, 24),
} as const;

const lingerOption = named('SO_LINGER', levelSocket, 13);
const originalDestinationIpv4 = named('SO_ORIGINAL_DST', levelIp, 80);
const originalDestinationIpv6 = named('IP6T_SO_ORIGINAL_DST', levelIpv6, 80);

/** Sets an option. Throws FlowFailure GATEWAY_SOCKET_OPTION with the option's name. */
export function setSocketOption(fd: number, option: SocketOption, value: number): void {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  if (libc().setsockopt(fd, option.level, option.option, bytes, bytes.length) === 0) return;
  throw new FlowFailure('GATEWAY_SOCKET_OPTION', `${option.name}: ${libc().errorName()}`);
}

/** Makes `close` discard what is unsent and send RST (socket(7), SO_LINGER with no time). */
export function resetOnClose(fd: number): void {
  const bytes = Buffer.alloc(8);
  bytes.writeInt32LE(1);
  // A socket that is closed already needs no reset.
  libc().setsockopt(fd, lingerOption.level, lingerOption.option, bytes, bytes.length);
}

/**
 * Where a connection was going before NAT redirected it, as connection tracking remembers it; a connection that was not
 * redirected has its own local address. Throws FlowFailure GATEWAY_ORIGINAL_DESTINATION when it is not tracked.
 */
export function natDestination(fd: number, family: 4 | 6): Address {
  const { name, level, option } = family === 4 ? originalDestinationIpv4 : originalDestinationIpv6;
  const bytes = Buffer.alloc(longestSocketAddress);
  if (libc().getsockopt(fd, level, option, bytes, [bytes.length]) !== 0) {
    throw new FlowFailure('GATEWAY_ORIGINAL_DESTINATION', `${name}: ${libc().errorName()}`);
  }
  const address = decodeSocketAddress(bytes);
  if (address === undefined) throw new FlowFailure('GATEWAY_ORIGINAL_DESTINATION', `${name}: unknown family`);
  return address;
}

/** The descriptor under a socket, or undefined when it is closed. Node keeps it on an undocumented handle: only here. */
export function descriptorOf(socket: Socket): number | undefined {
  const { _handle: handle } = socket as unknown as { readonly _handle?: { readonly fd?: number } | null };
  const fd = handle?.fd;
  return fd === undefined || fd < 0 ? undefined : fd;
}
