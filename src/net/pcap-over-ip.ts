import { createServer, type Server, type Socket } from 'node:net';
import { limits } from '../core/limits.ts';
import type { ListenAddress } from '../core/policy.ts';

export interface PcapOverIpOptions {
  readonly listen: ListenAddress;
  /** What every reader gets first. */
  readonly header: Buffer;
  readonly onProblem: (problem: string) => void;
  /** A reader that was too slow was let go. */
  readonly onSlowReader: () => void;
}

/** How long until a port that another process still holds is tried again. */
const retryMs = 1_000;

/**
 * Streams packets to whoever connects (PCAP-over-IP): Wireshark, and programs behind netcat. A reader gets what passes
 * from then on; one that does not read in time is let go, so that it costs no more than its buffer.
 */
export class PcapOverIp {
  readonly #options: PcapOverIpOptions;
  readonly #readers = new Set<Socket>();
  readonly #server: Server;
  #isClosed = false;
  #isTold = false;

  constructor(options: PcapOverIpOptions) {
    this.#options = options;
    this.#server = createServer((reader) => this.#accept(reader));
    this.#server.on('error', (error) => this.#retry(error));
    this.#server.on('listening', () => {
      this.#isTold = false;
    });
    this.#listen();
  }

  get hasReaders(): boolean {
    return this.#readers.size > 0;
  }

  add(blocks: readonly Buffer[]): void {
    for (const reader of this.#readers) {
      // Corked: what belongs together leaves in few packets.
      reader.cork();
      for (const block of blocks) reader.write(block);
      reader.uncork();
      if (reader.writableLength <= limits.exportReaderBytes) continue;
      this.#options.onSlowReader();
      reader.destroy();
    }
  }

  /** Takes no more readers, so that the next process can; those that are there go on. */
  stopListening(): void {
    this.#isClosed = true;
    this.#server.close();
  }

  /** Ends the streams after what was written. */
  close(): void {
    this.stopListening();
    for (const reader of this.#readers) reader.end();
  }

  #listen(): void {
    const { ip: host, port } = this.#options.listen;
    if (!this.#isClosed) this.#server.listen({ host, port });
  }

  /** While relays are replaced the one that ends holds the port for a moment. */
  #retry(error: Error): void {
    if (!this.#isTold) this.#options.onProblem(`PCAP-over-IP cannot listen, and tries again: ${error.message}`);
    this.#isTold = true;
    setTimeout(() => this.#listen(), retryMs).unref();
  }

  #accept(reader: Socket): void {
    reader.on('error', () => {});
    if (this.#readers.size >= limits.exportReaders) return void reader.destroy();
    reader.on('close', () => this.#readers.delete(reader));
    // Nothing that a reader says matters, but its end must be seen.
    reader.resume();
    this.#readers.add(reader);
    reader.write(this.#options.header);
  }
}
