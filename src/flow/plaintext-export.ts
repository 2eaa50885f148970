import { randomInt } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { packetBlock } from '../codec/pcapng.ts';
import { SyntheticTcp } from '../codec/synthetic-tcp.ts';
import type { Address } from '../core/endpoint.ts';
import type { FlowFacts } from '../core/record.ts';
import type { Side } from '../core/side.ts';
import { goesOnInClear } from '../net/clearable-transport.ts';

/** Where packets of decrypted traffic go. */
export interface PacketSink {
  /** False while nobody takes them: then none are made. */
  readonly isWanted: () => boolean;
  add(blocks: readonly Buffer[]): void;
}

/** What listens at the legs of one flow; undefined for a flow that is not exported. */
export type Tap = (side: Side, stream: Duplex) => void;

/**
 * Taps a decrypted flow: what each side sent becomes packets of one TCP conversation between client and destination. It
 * listens at the streams themselves, so that a gateway that exports nothing pays nothing.
 */
export function tapFor(facts: FlowFacts, sink: PacketSink): Tap {
  let conversation: Conversation | undefined;
  return (side, stream) => {
    // Legs of a flow that is still in the clear (before STARTTLS) are seen again when TLS is over them.
    if (!facts.decrypted) return;
    conversation ??= new Conversation(facts, sink);
    conversation.listen(side, stream);
  };
}

class Conversation {
  readonly #tcp: SyntheticTcp;
  readonly #sink: PacketSink;
  readonly #comment: string;
  #isOpen = false;
  #isClosed = false;
  readonly #openLegs = new Set<Side>();
  #isCut = false;

  constructor(facts: FlowFacts, sink: PacketSink) {
    const sequence = { client: randomInt(0x1_0000_0000), origin: randomInt(0x1_0000_0000) };
    this.#tcp = new SyntheticTcp(facts.client, destinationOf(facts), sequence);
    this.#sink = sink;
    this.#comment = `Decryption Detection; flow ${facts.flowId}`;
  }

  listen(side: Side, stream: Duplex): void {
    this.#openLegs.add(side);
    stream.on('data', (bytes: Buffer) => this.#write(() => this.#tcp.data(side, bytes)));
    stream.on('end', () => {
      if (!goesOnInClear(stream)) this.#write(() => this.#tcp.end(side));
    });
    stream.on('error', () => {
      this.#isCut = true;
    });
    stream.on('close', () => this.#closed(side, stream));
  }

  #closed(side: Side, stream: Duplex): void {
    if (goesOnInClear(stream)) return;
    this.#openLegs.delete(side);
    if (!stream.readableEnded && stream.errored !== null) this.#isCut = true;
    if (this.#openLegs.size > 0 || this.#isClosed) return;
    this.#write(() => this.#tcp.close(this.#isCut));
    this.#isClosed = true;
  }

  #write(packets: () => readonly Buffer[]): void {
    if (this.#isClosed || !this.#sink.isWanted()) return;
    const time = nowMicroseconds();
    const blocks: Buffer[] = [];
    if (!this.#isOpen) {
      this.#isOpen = true;
      for (const [index, packet] of this.#tcp.open().entries()) {
        blocks.push(packetBlock(packet, time, index === 0 ? this.#comment : undefined));
      }
    }
    for (const packet of packets()) blocks.push(packetBlock(packet, time));
    this.#sink.add(blocks);
  }
}

/** The address that the client meant; that of the proxy behind which it lies where no other is known. */
function destinationOf({ destination, origin }: FlowFacts): Address {
  return { ip: destination?.ip ?? origin?.ip ?? '', port: destination?.port ?? origin?.port ?? 0 };
}

function nowMicroseconds(): number {
  return Math.floor((performance.timeOrigin + performance.now()) * 1_000);
}
