import { FlowFailure } from '../core/failures.ts';
import { limits } from '../core/limits.ts';
import { IcapConnection } from './icap-connection.ts';

/** The connections of one relay to one content scanner: kept for the next message, and bounded, as are those who wait. */
export class IcapConnections {
  readonly #host: string;
  readonly #port: number;
  readonly #idle: IcapConnection[] = [];
  readonly #waiting: (() => void)[] = [];
  #taken = 0;
  /** At once. */
  limit: number = limits.scannerConnections;

  constructor(host: string, port: number) {
    this.#host = host;
    this.#port = port;
  }

  /** Runs `use` with a connection; one that is still open afterwards is kept. Rejects as `use` does, or GATEWAY_OVERLOADED. */
  async with<T>(signal: AbortSignal, isFresh: boolean, use: (connection: IcapConnection) => Promise<T>): Promise<T> {
    await this.#place(signal);
    try {
      const connection = (isFresh ? undefined : this.#takeIdle()) ?? (await this.#open(signal));
      connection.begin();
      const result = await use(connection).catch((error: unknown) => {
        connection.close();
        throw error;
      });
      if (connection.isOpen) {
        connection.rest();
        this.#idle.push(connection);
      }
      return result;
    } finally {
      // The place goes to whoever waits: nobody may take it in between.
      const next = this.#waiting.shift();
      if (next === undefined) this.#taken--;
      else next();
    }
  }

  #open(signal: AbortSignal): Promise<IcapConnection> {
    return IcapConnection.open(this.#host, this.#port, signal);
  }

  #takeIdle(): IcapConnection | undefined {
    while (this.#idle.length > 0) {
      const connection = this.#idle.pop();
      if (connection?.isOpen) return connection;
    }
    return undefined;
  }

  async #place(signal: AbortSignal): Promise<void> {
    if (this.#taken >= this.limit) {
      if (this.#waiting.length >= limits.scannerQueue) {
        throw new FlowFailure('GATEWAY_OVERLOADED', 'too many messages wait for the content scanner');
      }
      await this.#turn(signal);
    } else this.#taken++;
  }

  #turn(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const go = (): void => {
        signal.removeEventListener('abort', onAbort);
        resolve();
      };
      const onAbort = (): void => {
        const at = this.#waiting.indexOf(go);
        if (at >= 0) this.#waiting.splice(at, 1);
        reject(signal.reason);
      };
      if (signal.aborted) return onAbort();
      signal.addEventListener('abort', onAbort, { once: true });
      this.#waiting.push(go);
    });
  }
}
