import type { Socket } from 'node:net';
import type { Address } from '../core/endpoint.ts';
import { type FailureCode, FlowFailure } from '../core/failures.ts';
import { limits } from '../core/limits.ts';
import { type OutgoingOptions, outgoingSocket } from './outgoing-socket.ts';
import { formatAddress } from './socket-address.ts';

export interface RaceOptions extends OutgoingOptions {
  readonly timeoutMs: number;
  /** Gives the dialling up, e.g. when the client is gone. */
  readonly signal?: AbortSignal;
}

/**
 * Connects to the first of several addresses of one origin that answers (RFC 8305): each is tried when the one before has
 * failed or has had its head start, and earlier attempts go on meanwhile. Rejects with FlowFailure ORIGIN_REFUSED,
 * ORIGIN_UNREACHABLE, ORIGIN_CONNECT_TIMEOUT, GATEWAY_OVERLOADED, GATEWAY_SOCKET_OPTION, or CLIENT_GONE when given up.
 */
export function raceConnect(addresses: readonly Address[], options: RaceOptions): Promise<Socket> {
  return new Promise((resolve, reject) => {
    new Race(addresses.slice(0, limits.dialAddresses), options, resolve, reject).start();
  });
}

class Race {
  readonly #addresses: readonly Address[];
  readonly #options: RaceOptions;
  readonly #resolve: (socket: Socket) => void;
  readonly #reject: (failure: FlowFailure) => void;
  readonly #attempts = new Set<Socket>();
  #next = 0;
  #failure: FlowFailure | undefined;
  #settled = false;
  #deadline: NodeJS.Timeout | undefined;
  #headStart: NodeJS.Timeout | undefined;

  constructor(
    addresses: readonly Address[],
    options: RaceOptions,
    resolve: (socket: Socket) => void,
    reject: (failure: FlowFailure) => void,
  ) {
    this.#addresses = addresses;
    this.#options = options;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  start(): void {
    const { timeoutMs, signal } = this.#options;
    if (signal?.aborted) {
      this.#onAbort();
      return;
    }
    signal?.addEventListener('abort', this.#onAbort);
    this.#deadline = setTimeout(this.#onDeadline, timeoutMs);
    this.#tryNext();
  }

  readonly #tryNext = (): void => {
    clearTimeout(this.#headStart);
    const address = this.#addresses[this.#next++];
    if (address === undefined) {
      if (this.#attempts.size === 0) this.#fail(this.#failure ?? new FlowFailure('ORIGIN_UNREACHABLE', 'no address'));
      return;
    }
    this.#attempt(address);
    if (this.#settled || this.#next >= this.#addresses.length) return;
    this.#headStart = setTimeout(this.#tryNext, limits.dialAttemptDelayMs);
  };

  #attempt(address: Address): void {
    const socket = this.#makeSocket(address);
    if (socket === undefined) return;
    this.#attempts.add(socket);
    const onConnect = (): void => {
      socket.off('error', onError);
      this.#win(socket);
    };
    const onError = (error: NodeJS.ErrnoException): void => {
      socket.off('connect', onConnect);
      this.#lose(socket, address, error.code ?? error.message);
    };
    socket.once('connect', onConnect).once('error', onError);
    socket.setNoDelay(true);
    socket.connect({ host: address.ip, port: address.port });
  }

  #makeSocket(address: Address): Socket | undefined {
    try {
      return outgoingSocket(address.ip.includes(':') ? 6 : 4, this.#options);
    } catch (error) {
      // Not the origin's doing, so no other address of it can do better.
      this.#fail(error instanceof FlowFailure ? error : new FlowFailure('GATEWAY_INTERNAL', String(error)));
      return undefined;
    }
  }

  #win(socket: Socket): void {
    this.#attempts.delete(socket);
    this.#settle();
    this.#resolve(socket);
  }

  #lose(socket: Socket, address: Address, errorName: string): void {
    this.#attempts.delete(socket);
    socket.destroy();
    if (this.#settled) return;
    const failure = new FlowFailure(connectFailureCode(errorName), `${formatAddress(address)}: ${errorName}`);
    // A refusal says more of the origin than a missing route of one family does.
    if (this.#failure === undefined || failure.code === 'ORIGIN_REFUSED') this.#failure = failure;
    this.#tryNext();
  }

  readonly #onDeadline = (): void => {
    const tried = this.#addresses.slice(0, this.#next).map(formatAddress).join(', ');
    this.#fail(new FlowFailure('ORIGIN_CONNECT_TIMEOUT', `${tried}: no answer in ${this.#options.timeoutMs} ms`));
  };
  readonly #onAbort = (): void => this.#fail(new FlowFailure('CLIENT_GONE', 'while the origin was dialled'));

  #fail(failure: FlowFailure): void {
    this.#settle();
    this.#reject(failure);
  }

  #settle(): void {
    this.#settled = true;
    clearTimeout(this.#deadline);
    clearTimeout(this.#headStart);
    this.#options.signal?.removeEventListener('abort', this.#onAbort);
    for (const loser of this.#attempts) loser.destroy();
    this.#attempts.clear();
  }
}

/** The failure that an error of connect(2) stands for. */
function connectFailureCode(errorName: string): FailureCode {
  switch (errorName) {
    // A reset in answer to SYN-ACK's ACK is a listener that refuses late.
    case 'ECONNREFUSED':
    case 'ECONNRESET':
      return 'ORIGIN_REFUSED';
    case 'ETIMEDOUT':
      return 'ORIGIN_CONNECT_TIMEOUT';
    // Out of descriptors, buffers or local ports.
    case 'EMFILE':
    case 'ENFILE':
    case 'ENOBUFS':
    case 'ENOMEM':
    case 'EADDRNOTAVAIL':
      return 'GATEWAY_OVERLOADED';
    default:
      return 'ORIGIN_UNREACHABLE';
  }
}
