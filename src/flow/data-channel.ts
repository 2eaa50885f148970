import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Address } from '../core/endpoint.ts';
import { asFailure, FlowFailure } from '../core/failures.ts';
import { limits } from '../core/limits.ts';
import type { Side } from '../core/side.ts';
import type { DataListener } from '../net/data-listener.ts';
import { FairShares } from '../net/fair-shares.ts';
import { resetConnection } from '../net/reset.ts';
import { moveFile } from './data-move.ts';
import type { DataChannel, DataPlan } from './relay/ftp-options.ts';
import { coarseNowMs } from './ticker.ts';

export interface DataChannelOptions {
  readonly mode: DataChannel['mode'];
  /** Waits for the peer that connects, and hands its connection over once; rejects with FlowFailure. */
  readonly meet: (accepted: (socket: Socket) => void) => Promise<DataListener>;
  /** Whose share of all channels it is. */
  readonly shareKey: string;
  /** Connects to the other side. */
  readonly dial: () => Promise<Socket>;
  /** It does so before anybody is waited for. */
  readonly dialsFirst?: boolean;
  /** Puts TLS over a leg; rejects with FlowFailure. */
  readonly secure: (side: Side, socket: Socket, direction: DataPlan['direction']) => Promise<Duplex>;
  readonly idleMs: number;
}

/** Channels of this process that are open. */
const places = new FairShares(limits.ftpDataChannels);

/** Waits for one data connection. Rejects with FlowFailure GATEWAY_OVERLOADED or what `meet` says. */
export async function openDataChannel(options: DataChannelOptions): Promise<DataChannel> {
  const { shareKey } = options;
  if (!places.take(shareKey)) throw new FlowFailure('GATEWAY_OVERLOADED', 'data channels');
  const channel = new SocketDataChannel(options, () => places.give(shareKey));
  await channel.listen();
  return channel;
}

interface Movement {
  readonly note: () => void;
  readonly isRecent: () => boolean;
}

/** When bytes moved last: what it tells outlives the channel without keeping it. */
function movementWithin(limitMs: number): Movement {
  let lastMs = Number.NEGATIVE_INFINITY;
  return {
    note: () => {
      lastMs = coarseNowMs();
    },
    isRecent: () => coarseNowMs() - lastMs <= limitMs,
  };
}

interface Leg {
  readonly socket: Socket;
  /** TLS over the socket, where there is some. */
  over: Duplex | undefined;
}

class SocketDataChannel implements DataChannel {
  readonly mode: DataChannel['mode'];
  address: Address = { ip: '', port: 0 };
  readonly #options: DataChannelOptions;
  readonly #released: () => void;
  #listener: DataListener | undefined;
  readonly #accepted = Promise.withResolvers<Socket>();
  #dialled: Promise<Socket> | undefined;
  /** Its leg, under TLS where it is asked for. */
  #origin: Promise<Duplex> | undefined;
  readonly #legs: Leg[] = [];
  #client: Duplex | undefined;
  #timer: NodeJS.Timeout | undefined;
  readonly #movement: Movement;
  readonly hasMoved: DataChannel['hasMoved'];
  isOver = false;

  constructor(options: DataChannelOptions, released: () => void) {
    this.mode = options.mode;
    this.#options = options;
    this.#released = released;
    this.#movement = movementWithin(options.idleMs);
    this.hasMoved = this.#movement.isRecent;
    this.#accepted.promise.catch(ignore);
  }

  async listen(): Promise<void> {
    const { meet, dial, dialsFirst = false } = this.#options;
    try {
      if (dialsFirst) await this.#dialledBy(dial());
      this.#listener = await meet((socket) => this.#connected(socket));
    } catch (error) {
      this.abort();
      throw error;
    }
    this.address = this.#listener.address;
    const code = this.mode === 'passive' ? 'CLIENT_FTP_DATA_TIMEOUT' : 'ORIGIN_FTP_DATA_TIMEOUT';
    this.#timer = setTimeout(() => this.#giveUp(new FlowFailure(code)), limits.ftpDataWaitMs);
  }

  connect({ direction, isProtected }: Pick<DataPlan, 'direction' | 'isProtected'>): void {
    const { dial } = this.#options;
    // In active mode nobody is to be connected to before the origin has come.
    const dialled =
      this.#dialled ?? this.#dialledBy(this.mode === 'passive' ? dial() : this.#accepted.promise.then(dial));
    // Some servers consent to the transfer only when TLS stands (ftp-srv); those that consent first let the handshake wait.
    this.#origin = (this.mode === 'passive' ? dialled : this.#accepted.promise).then((socket) =>
      isProtected ? this.#secure('origin', socket, direction) : socket,
    );
    this.#origin.catch(ignore);
  }

  begin(plan: DataPlan): void {
    this.#run(plan).then(
      (outcome) => {
        this.#movement.note();
        if (outcome.code === undefined) this.#end();
        else if (outcome.code === 'POLICY_RULE_BLOCK' && plan.direction === 'upload') this.#drain();
        else this.abort();
        plan.settled(outcome);
      },
      (error: unknown) => {
        const { code, detail } = asFailure(error);
        this.abort();
        plan.settled({ code, detail });
      },
    );
  }

  abort(): void {
    if (this.isOver) return;
    this.#close();
    this.#accepted.reject(new FlowFailure('CLIENT_GONE', 'the data channel was given up'));
    for (const { socket, over } of this.#legs) resetConnection(socket, over);
  }

  async #run({ direction, isProtected, transfer }: DataPlan) {
    this.#movement.note();
    const dialled = this.#dialled ?? Promise.reject(new FlowFailure('GATEWAY_INTERNAL', 'not connected'));
    // The origin proves who it is before the client is answered.
    const origin = await (this.#origin ?? dialled);
    const clientSocket = await (this.mode === 'passive' ? this.#accepted.promise : dialled);
    const client = isProtected ? await this.#secure('client', clientSocket, direction) : clientSocket;
    clearTimeout(this.#timer);
    this.#client = client;
    return moveFile({
      source: direction === 'download' ? origin : client,
      sink: direction === 'download' ? client : origin,
      direction,
      transfer,
      moved: this.#movement.note,
    });
  }

  async #secure(side: Side, socket: Socket, direction: DataPlan['direction']): Promise<Duplex> {
    const over = await this.#options.secure(side, socket, direction);
    over.on('error', ignore);
    const leg = this.#legs.find((candidate) => candidate.socket === socket);
    if (leg !== undefined) leg.over = over;
    if (this.isOver) resetConnection(socket, over);
    return over;
  }

  #dialledBy(dialling: Promise<Socket>): Promise<Socket> {
    const dialled = dialling.then((socket) => this.#keep(socket));
    dialled.catch(ignore);
    this.#dialled = dialled;
    return dialled;
  }

  #connected(socket: Socket): void {
    this.#accepted.resolve(this.#keep(socket));
  }

  #keep(socket: Socket): Socket {
    socket.on('error', ignore);
    this.#legs.push({ socket, over: undefined });
    if (this.isOver) resetConnection(socket);
    return socket;
  }

  #giveUp(failure: FlowFailure): void {
    this.#accepted.reject(failure);
    this.abort();
  }

  /** Both ends have been proper. */
  #end(): void {
    if (this.isOver) return;
    this.#close();
    for (const { socket, over } of this.#legs) {
      (over ?? socket).end();
      // What nobody takes any more is not kept for good.
      setTimeout(() => (over ?? socket).destroy(), limits.ftpDataCloseMs).unref();
    }
  }

  /**
   * Ends a blocked upload: the origin's leg is cut, what the client still sends is dropped for a moment. Many clients take
   * a reset for a fault of the network, and never read the answer that says why.
   */
  #drain(): void {
    if (this.isOver) return;
    this.#close();
    for (const { socket, over } of this.#legs) {
      const stream = over ?? socket;
      if (stream !== this.#client) {
        resetConnection(socket, over);
        continue;
      }
      if (stream.readableEnded) stream.end();
      else stream.once('end', () => stream.end()).resume();
      setTimeout(() => resetConnection(socket, over), limits.ftpDataCloseMs).unref();
    }
  }

  #close(): void {
    this.isOver = true;
    clearTimeout(this.#timer);
    this.#listener?.close();
    this.#released();
  }
}

function ignore(): void {}
