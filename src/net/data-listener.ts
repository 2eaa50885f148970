import { createServer, type Server, type Socket } from 'node:net';
import type { Address } from '../core/endpoint.ts';
import { FlowFailure } from '../core/failures.ts';
import { closeListeningSocket, openForeignSocket } from './listen.ts';
import { remoteAddressOf } from './original-destination.ts';
import { resetConnection } from './reset.ts';

/** Where a peer finds a listener that waits for one connection. */
export type DataPlace =
  /** At an address of this host. */
  | { readonly kind: 'own'; readonly ip: string }
  /** At an address of somebody else, whose packets pass through this host and are brought here by REDIRECT: `ownIp` is what it rewrites to. */
  | { readonly kind: 'redirect'; readonly ip: string; readonly ownIp: string }
  /** The same by TPROXY, on the very port that the other has opened: no other traffic is touched. */
  | { readonly kind: 'tproxy'; readonly ip: string; readonly port: number };

export interface DataListener {
  /** As the peer names it. */
  readonly address: Address;
  close(): void;
}

export interface DataListenerOptions {
  readonly place: DataPlace;
  /** The only address that may connect. */
  readonly acceptFrom: string;
  /** Called once. */
  readonly accepted: (socket: Socket) => void;
  /** Somebody else has connected, and was reset (RFC 2577 section 5). */
  readonly stranger: (address: Address) => void;
}

/** Listens for one connection. Rejects with FlowFailure GATEWAY_LISTEN_DENIED or GATEWAY_PORT_IN_USE. */
export async function listenForData(options: DataListenerOptions): Promise<DataListener> {
  const { place } = options;
  switch (place.kind) {
    case 'own':
      return listenAt(options, place.ip, () => undefined);
    case 'tproxy':
      return listenOnForeign(options, place);
    case 'redirect':
      for (let tries = 1; ; tries += 1) {
        try {
          return await listenAt(options, place.ownIp, (port) => openForeignSocket({ ip: place.ip, port }, 'claim'));
        } catch (error) {
          // The port is free here, but claimed there: of another interface, for the same origin.
          if (tries === claimTries) throw error;
        }
      }
  }
}

const claimTries = 4;
const backlog = 4;

async function listenAt(
  options: DataListenerOptions,
  ownIp: string,
  claim: (port: number) => number | undefined,
): Promise<DataListener> {
  const waiting = new Waiting(options);
  const port = await waiting.listen(ownIp, { host: ownIp, port: 0, exclusive: true });
  try {
    waiting.claim = claim(port);
  } catch (error) {
    waiting.close();
    throw error;
  }
  return { address: { ip: options.place.ip, port }, close: () => waiting.close() };
}

async function listenOnForeign(options: DataListenerOptions, place: Address): Promise<DataListener> {
  const waiting = new Waiting(options);
  // Node closes the descriptor with its server.
  const port = await waiting.listen(place.ip, { fd: openForeignSocket(place, 'transparent') });
  return { address: { ip: place.ip, port }, close: () => waiting.close() };
}

class Waiting {
  /** Descriptor of the socket that shows the packet filter where somebody waits. */
  claim: number | undefined;
  readonly #options: DataListenerOptions;
  readonly #server: Server;
  #isClosed = false;

  constructor(options: DataListenerOptions) {
    this.#options = options;
    const how = { pauseOnConnect: true, allowHalfOpen: true, noDelay: true };
    this.#server = createServer(how, (socket) => this.#connected(socket));
  }

  listen(ip: string, where: { host: string; port: number; exclusive: boolean } | { fd: number }): Promise<number> {
    const server = this.#server;
    return new Promise((resolve, reject) => {
      const onError = (error: NodeJS.ErrnoException): void =>
        reject(new FlowFailure('GATEWAY_LISTEN_DENIED', `${ip}: ${error.code ?? error.message}`));
      server.once('error', onError);
      server.listen({ ...where, backlog }, () => {
        // From now on an error is one connection's that could not be accepted.
        server.off('error', onError).on('error', () => {});
        const bound = server.address();
        resolve(bound !== null && typeof bound === 'object' ? bound.port : 0);
      });
    });
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#server.close();
    if (this.claim !== undefined) closeListeningSocket(this.claim);
  }

  #connected(socket: Socket): void {
    socket.on('error', () => {});
    const { acceptFrom, accepted, stranger } = this.#options;
    const from = addressOf(socket);
    if (from !== undefined && from.ip === acceptFrom && !this.#isClosed) {
      this.close();
      return accepted(socket);
    }
    resetConnection(socket);
    if (from !== undefined && from.ip !== acceptFrom) stranger(from);
  }
}

function addressOf(socket: Socket): Address | undefined {
  try {
    return remoteAddressOf(socket);
  } catch {
    return undefined;
  }
}
