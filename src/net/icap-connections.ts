import { IcapConnection } from './icap-connection.ts';

/** The connections of one relay to one content scanner, kept for the next message. How many there are is not decided here. */
export class IcapConnections {
  readonly #host: string;
  readonly #port: number;
  readonly #idle: IcapConnection[] = [];

  constructor(host: string, port: number) {
    this.#host = host;
    this.#port = port;
  }

  /** Runs `use` with a connection; one that is still open afterwards is kept. Rejects as `use` does. */
  async with<T>(signal: AbortSignal, isFresh: boolean, use: (connection: IcapConnection) => Promise<T>): Promise<T> {
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
}
