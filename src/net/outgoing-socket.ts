import { Socket, type SocketConstructorOpts } from 'node:net';
import type { Address } from '../core/endpoint.ts';
import { FlowFailure } from '../core/failures.ts';
import { libc } from './libc.ts';
import { encodeSocketAddress, familyIpv4, familyIpv6, formatAddress } from './socket-address.ts';
import { setSocketOption, socketOptions } from './socket-options.ts';

/** What Node cannot give a socket before it connects. */
export interface OutgoingOptions {
  /** The client whose address the connection comes from; its port is not kept (needs CAP_NET_ADMIN). */
  readonly spoof?: Address;
  /** Packet mark, for routing and firewall rules (needs CAP_NET_ADMIN). */
  readonly mark?: number;
}

/**
 * Makes an unconnected socket for a connection to `family`. Throws FlowFailure GATEWAY_SOCKET_OPTION when an option
 * cannot be set, GATEWAY_OVERLOADED when there is no descriptor left.
 */
export function outgoingSocket(family: 4 | 6, options: OutgoingOptions): Socket {
  if (options.spoof === undefined && options.mark === undefined) return new Socket({ allowHalfOpen: true });
  const fd = libc().socket(family === 4 ? familyIpv4 : familyIpv6, typeStream | typeNonBlocking | typeCloseOnExec, 0);
  if (fd < 0) throw new FlowFailure('GATEWAY_OVERLOADED', `socket: ${libc().errorName()}`);
  try {
    if (options.mark !== undefined) setSocketOption(fd, socketOptions.mark, options.mark);
    if (options.spoof !== undefined) bindForeign(fd, family, options.spoof);
    return adopt(fd);
  } catch (error) {
    libc().close(fd);
    throw error;
  }
}

const typeStream = 1;
const typeNonBlocking = 0x800;
const typeCloseOnExec = 0x80000;

function bindForeign(fd: number, family: 4 | 6, source: Address): void {
  setSocketOption(fd, family === 4 ? socketOptions.transparentIpv4 : socketOptions.transparentIpv6, 1);
  setSocketOption(fd, socketOptions.bindAddressNoPort, 1);
  const bytes = encodeSocketAddress({ ip: source.ip, port: 0 });
  if (libc().bind(fd, bytes, bytes.length) === 0) return;
  throw new FlowFailure('GATEWAY_SOCKET_OPTION', `bind to ${formatAddress(source)}: ${libc().errorName()}`);
}

/** Hands a descriptor to Node. `manualStart` keeps it from reading (ENOTCONN) before the socket is connected. */
function adopt(fd: number): Socket {
  const options: SocketConstructorOpts & { readonly manualStart: boolean } = {
    fd,
    readable: true,
    writable: true,
    allowHalfOpen: true,
    manualStart: true,
  };
  return new Socket(options);
}
