import type { Server } from 'node:net';
import type { Address } from '../core/endpoint.ts';
import { FlowFailure } from '../core/failures.ts';
import { limits } from '../core/limits.ts';
import type { ListenAddress } from '../core/policy.ts';
import { hasSocketOptions, libc } from './libc.ts';
import {
  decodeSocketAddress,
  encodeSocketAddress,
  familyIpv4,
  familyIpv6,
  formatAddress,
  longestSocketAddress,
} from './socket-address.ts';
import { setSocketOption, socketOptions } from './socket-options.ts';

export interface ListeningOptions {
  /** Accept what TPROXY hands over, which is addressed to others (needs CAP_NET_ADMIN). */
  readonly transparent: boolean;
}

/**
 * Opens the listening sockets of one address, one for each relay, among which the kernel spreads connections
 * (SO_REUSEPORT). They are control's: a relay inherits one and may crash, and its connections wait in the socket for
 * the next. Port 0 takes a free one for all. Where there are no socket options (not Linux), each is undefined and
 * `acceptOn` listens by address. Throws FlowFailure GATEWAY_PORT_IN_USE, GATEWAY_LISTEN_DENIED or GATEWAY_SOCKET_OPTION.
 */
export function openListeningSockets(
  address: ListenAddress,
  count: number,
  options: ListeningOptions,
): readonly (number | undefined)[] {
  if (!hasSocketOptions) return Array.from({ length: count }, () => undefined);
  const opened: number[] = [];
  try {
    // SO_REUSEPORT would silently share the port with another gateway of the same user; without it, the kernel objects.
    const probe = openSocket(address, options);
    const { port } = listeningAddress(probe);
    closeListeningSocket(probe);
    while (opened.length < count) {
      opened.push(listening(openSocket({ ...address, port }, { ...options, reusePort: true }), address));
    }
    return opened;
  } catch (error) {
    for (const fd of opened) closeListeningSocket(fd);
    throw error;
  }
}

/** The same for a single socket. */
export function openListeningSocket(address: ListenAddress, options: ListeningOptions): number | undefined {
  return openListeningSockets(address, 1, options)[0];
}

/**
 * Opens a listening socket at an address that need not be this host's: `transparent` receives what the packet filter
 * delivers for it (needs CAP_NET_ADMIN), `claim` receives nothing and only shows the packet filter that somebody waits
 * there. Throws as openListeningSockets does.
 */
export function openForeignSocket(address: ListenAddress, kind: 'transparent' | 'claim'): number {
  return listening(openSocket(address, { transparent: kind === 'transparent', claim: kind === 'claim' }), address);
}

/** Closes a listening socket; connections that no relay has accepted are reset by the kernel. */
export function closeListeningSocket(fd: number): void {
  libc().close(fd);
}

/** The address that a socket listens on, with the port that was chosen for port 0. */
export function listeningAddress(fd: number): Address {
  const bytes = Buffer.alloc(longestSocketAddress);
  const result = libc().getsockname(fd, bytes, [bytes.length]);
  const address = result === 0 ? decodeSocketAddress(bytes) : undefined;
  if (address === undefined) throw new FlowFailure('GATEWAY_SOCKET_OPTION', `getsockname: ${libc().errorName()}`);
  return address;
}

/**
 * Lets a relay's server accept on an inherited listening socket, or by address where there is none. Resolves once it
 * accepts. Rejects with FlowFailure GATEWAY_PORT_IN_USE or GATEWAY_LISTEN_DENIED.
 */
export function acceptOn(server: Server, address: ListenAddress, fd: number | undefined): Promise<void> {
  const backlog = limits.listenBacklog;
  return new Promise((resolve, reject) => {
    const onListening = (): void => {
      // From now on an error is one connection's that could not be accepted (out of buffers, refused by a firewall).
      server.off('error', onError).on('error', () => {});
      resolve();
    };
    const onError = (error: NodeJS.ErrnoException): void => {
      server.off('listening', onListening);
      reject(listenFailure(address, error.code ?? error.message));
    };
    server.once('listening', onListening).once('error', onError);
    if (fd === undefined) server.listen({ host: address.ip, port: address.port, backlog });
    // With a descriptor Node heeds a backlog only as an argument of its own.
    else server.listen({ fd }, backlog);
  });
}

const typeStream = 1;
const typeNonBlocking = 0x800;
/** Only the descriptors that a relay is given by name may reach it. */
const typeCloseOnExec = 0x80000;

interface SocketWishes extends ListeningOptions {
  readonly reusePort?: boolean;
  readonly claim?: boolean;
}

function openSocket(address: ListenAddress, options: SocketWishes): number {
  const ipv6 = address.ip.includes(':');
  const fd = libc().socket(ipv6 ? familyIpv6 : familyIpv4, typeStream | typeNonBlocking | typeCloseOnExec, 0);
  if (fd < 0) throw listenFailure(address, libc().errorName());
  try {
    // Connections of an earlier run that still wind down must not keep the port; a listening socket still does.
    setSocketOption(fd, socketOptions.reuseAddress, 1);
    if (options.reusePort) setSocketOption(fd, socketOptions.reusePort, 1);
    if (options.claim) setSocketOption(fd, ipv6 ? socketOptions.freeBindIpv6 : socketOptions.freeBindIpv4, 1);
    // As Node does: `::` takes IPv4 too, any other IPv6 address is alone.
    if (ipv6) setSocketOption(fd, socketOptions.ipv6Only, address.ip === '::' ? 0 : 1);
    if (options.transparent) {
      setSocketOption(fd, ipv6 ? socketOptions.transparentIpv6 : socketOptions.transparentIpv4, 1);
    }
    const bytes = encodeSocketAddress(address);
    if (libc().bind(fd, bytes, bytes.length) !== 0) throw listenFailure(address, libc().errorName());
    return fd;
  } catch (error) {
    libc().close(fd);
    throw error;
  }
}

function listening(fd: number, address: ListenAddress): number {
  if (libc().listen(fd, limits.listenBacklog) === 0) return fd;
  const failure = listenFailure(address, libc().errorName());
  libc().close(fd);
  throw failure;
}

function listenFailure(address: ListenAddress, errorName: string): FlowFailure {
  const code = errorName === 'EADDRINUSE' ? 'GATEWAY_PORT_IN_USE' : 'GATEWAY_LISTEN_DENIED';
  return new FlowFailure(code, `${formatAddress(address)}: ${errorName}`);
}
