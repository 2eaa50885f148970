import { randomBytes } from 'node:crypto';
import { createServer, type Server, type Socket } from 'node:net';
import type { Address, Destination } from '../core/endpoint.ts';
import { FlowFailure } from '../core/failures.ts';
import type { ExpectedData } from '../core/ipc.ts';
import { limits } from '../core/limits.ts';
import type { DataListener } from '../net/data-listener.ts';
import { readUntil } from '../net/read-until.ts';
import { resetConnection } from '../net/reset.ts';

/** Where a client of the explicit proxy will ask to be connected to, for the data of its session. */
export interface DataAppointment {
  readonly clientIp: string;
  /** The flow of the session. */
  readonly session: string;
  /** The origin as the client may name it. */
  readonly hosts: readonly string[];
  readonly port: number;
  /** The origin is reached through a proxy: only that knows what other names it has. */
  readonly isProxied: boolean;
}

/** What is known of each of them. */
type Awaited = Pick<DataAppointment, 'clientIp' | 'session' | 'port' | 'isProxied'>;

/** An appointment of this relay, or of another one that waits at a port of the loopback for whoever knows the token. */
export type Expected =
  | (Awaited & { readonly kind: 'here'; take(socket: Socket): void; stranger(address: Address): void })
  | (Awaited & { readonly kind: 'elsewhere'; readonly token: string; readonly handOverPort: number });

/** Tells the other relays, through control. */
export interface ExpectationSharing {
  /** Resolves when all of them know. */
  announce(expected: ExpectedData): Promise<void>;
  forget(token: string): void;
}

/**
 * Data connections that sessions of the explicit proxy wait for. They come as requests of their own (CONNECT, SOCKS), at
 * any relay: the one that gets it hands it to the one that expects it.
 */
export class DataExpectations {
  readonly #sharing: ExpectationSharing | undefined;
  /** By `host:port`. */
  readonly #expected = new Map<string, Expected>();
  readonly #byPort = new Map<number, Set<Expected>>();
  readonly #byToken = new Map<string, (socket: Socket) => void>();
  readonly #elsewhere = new Map<
    string,
    { readonly expected: Expected; readonly data: ExpectedData; timer: NodeJS.Timeout }
  >();
  #handOver: Promise<Server> | undefined;

  /** Without sharing there is no other relay. */
  constructor(sharing?: ExpectationSharing) {
    this.#sharing = sharing;
  }

  get isEmpty(): boolean {
    return this.#expected.size === 0;
  }

  find({ host, port }: Destination): Expected | undefined {
    return this.#expected.get(keyOf(host, port));
  }

  /**
   * Whether what a client asks for at a port may be what it is expected for, by another name of its origin. Only where a
   * proxy leads to either of them: elsewhere the address tells.
   */
  mayBeOf(clientIp: string, port: number, isProxied: boolean): boolean {
    for (const expected of this.#byPort.get(port) ?? []) {
      if (expected.clientIp === clientIp && (isProxied || expected.isProxied)) return true;
    }
    return false;
  }

  /** Resolves when every relay would recognise the connection. Rejects with FlowFailure GATEWAY_LISTEN_DENIED, GATEWAY_OVERLOADED or GATEWAY_PORT_IN_USE. */
  async expect(
    appointment: DataAppointment,
    originIp: string,
    accepted: (socket: Socket) => void,
    stranger: (address: Address) => void,
  ): Promise<DataListener> {
    const token = randomBytes(tokenBytes).toString('hex');
    const take = (socket: Socket): void => {
      close();
      accepted(socket);
    };
    const { clientIp, session, port, isProxied } = appointment;
    if (this.#isTaken(appointment)) throw new FlowFailure('GATEWAY_PORT_IN_USE', 'somebody waits for it already');
    const expected: Expected = { kind: 'here', clientIp, session, port, isProxied, take, stranger };
    const close = (): void => {
      this.#remove(appointment, expected);
      if (this.#byToken.delete(token)) this.#sharing?.forget(token);
    };
    this.#put(appointment, expected);
    if (this.#sharing !== undefined) {
      this.#byToken.set(token, take);
      try {
        await this.#sharing.announce({ ...appointment, token, handOverPort: await this.#handOverPort() });
      } catch (error) {
        close();
        throw error;
      }
    }
    return { address: { ip: originIp, port }, close };
  }

  /** Another relay expects a connection. False when this one cannot remember any more, or somebody else waits at the same place. */
  note(data: ExpectedData): boolean {
    if (this.#elsewhere.size >= limits.ftpAppointments || this.#isTaken(data)) return false;
    const { clientIp, session, port, isProxied, token, handOverPort } = data;
    const expected: Expected = { kind: 'elsewhere', clientIp, session, port, isProxied, token, handOverPort };
    // It tells when it expects it no more, unless it is gone.
    const timer = setTimeout(() => this.forget(token), 2 * limits.ftpDataWaitMs);
    timer.unref();
    this.#elsewhere.set(token, { expected, data, timer });
    this.#put(data, expected);
    return true;
  }

  forget(token: string): void {
    const known = this.#elsewhere.get(token);
    if (known === undefined) return;
    clearTimeout(known.timer);
    this.#elsewhere.delete(token);
    this.#remove(known.data, known.expected);
  }

  close(): void {
    this.#handOver?.then((server) => server.close(), ignore);
  }

  /**
   * Whoever has a server beside another client's origin could name the port that this one waits at, and get its file. Behind
   * a proxy our own address stands for that of many origins, of which two sessions of one client may have the same port.
   */
  #isTaken({ clientIp, session, hosts, port, isProxied }: DataAppointment): boolean {
    return hosts.some((host) => {
      const known = this.#expected.get(keyOf(host, port));
      if (known === undefined || known.session === session) return false;
      return known.clientIp !== clientIp || known.isProxied || isProxied;
    });
  }

  /** What a client expects last counts: an origin uses a port again only when it has given the earlier one up. */
  #put({ hosts, port }: DataAppointment, expected: Expected): void {
    for (const host of hosts) this.#expected.set(keyOf(host, port), expected);
    const others = this.#byPort.get(port);
    if (others === undefined) this.#byPort.set(port, new Set([expected]));
    else others.add(expected);
  }

  #remove({ hosts, port }: DataAppointment, expected: Expected): void {
    for (const host of hosts) {
      const key = keyOf(host, port);
      if (this.#expected.get(key) === expected) this.#expected.delete(key);
    }
    const others = this.#byPort.get(port);
    if (others?.delete(expected) === true && others.size === 0) this.#byPort.delete(port);
  }

  async #handOverPort(): Promise<number> {
    this.#handOver ??= this.#listen();
    const bound = (await this.#handOver).address();
    return bound !== null && typeof bound === 'object' ? bound.port : 0;
  }

  #listen(): Promise<Server> {
    const how = { pauseOnConnect: true, allowHalfOpen: true, noDelay: true };
    const server = createServer(how, (socket) => void this.#handedOver(socket));
    server.unref();
    return new Promise((resolve, reject) => {
      server.once('error', (error: NodeJS.ErrnoException) => {
        this.#handOver = undefined;
        reject(new FlowFailure('GATEWAY_LISTEN_DENIED', `127.0.0.1: ${error.code ?? error.message}`));
      });
      server.listen({ host: '127.0.0.1', port: 0, exclusive: true }, () => {
        server.on('error', ignore);
        resolve(server);
      });
    });
  }

  async #handedOver(socket: Socket): Promise<void> {
    socket.on('error', ignore);
    try {
      const take = this.#byToken.get(await tokenOf(socket));
      if (take === undefined) resetConnection(socket);
      else take(socket);
    } catch {
      resetConnection(socket);
    }
  }
}

const tokenBytes = 32;

/** Only a relay of this gateway knows the token, so that nobody else on this host can come in its place. */
function tokenOf(socket: Socket): Promise<string> {
  const bounds = {
    deadlineMs: limits.ftpHandOverMs,
    maximumBytes: limits.openingBytes,
    onDeadline: 'CLIENT_OPENING_TIMEOUT',
    onTooLarge: 'CLIENT_OPENING_TOO_LARGE',
  } as const;
  return readUntil(socket, bounds, (bytes) =>
    bytes.length < tokenBytes ? undefined : { value: bytes.toString('hex', 0, tokenBytes), consumed: tokenBytes },
  );
}

function keyOf(host: string, port: number): string {
  return `${host}:${port}`;
}

function ignore(): void {}
