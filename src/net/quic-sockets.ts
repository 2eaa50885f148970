import { createSocket, type Socket } from 'node:dgram';
import type { Address } from '../core/endpoint.ts';
import type { ListenAddress } from '../core/policy.ts';

/** What is told of a datagram; what it returns is sent back. */
export type OnDatagram = (datagram: Buffer, client: Address) => Buffer | undefined;

/**
 * Listens for UDP at an address, beside others that do (SO_REUSEPORT): the kernel gives each client to one of them.
 * Without the port the kernel refuses what comes, so that a failure is told and nothing else.
 */
export function listenForDatagrams(
  { ip, port }: ListenAddress,
  onDatagram: OnDatagram,
  onProblem: (problem: string) => void,
): Socket {
  const socket = createSocket({ type: ip.includes(':') ? 'udp6' : 'udp4', reusePort: true });
  socket.on('error', (error) => onProblem(`UDP ${ip} port ${port}: ${error.message}`));
  socket.on('message', (datagram, { address, port: from }) => {
    const answer = onDatagram(datagram, { ip: plainAddress(address), port: from });
    // A client that cannot be reached any more is no problem of ours.
    if (answer !== undefined) socket.send(answer, from, address, () => {});
  });
  socket.bind({ port, address: ip });
  return socket;
}

/** A socket for both families shows IPv4 addresses as mapped ones. */
function plainAddress(address: string): string {
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address;
}
