import type { Wire } from '../../core/relay.ts';
import type { Side } from '../../core/side.ts';

interface Piece {
  readonly bytes: Buffer;
  /** Body bytes of the message up to the end of the piece. */
  readonly bodyEnd: number;
}

/** Pieces of one message that wait for a verdict, in order. How many there may be is the inspector's to bound. */
export class HeldPieces {
  #pieces: Piece[] = [];

  push(bytes: Buffer, bodyEnd: number): void {
    this.#pieces.push({ bytes, bodyEnd });
  }

  /** Sends all pieces that end at a body offset or before it; tells whether there were any. */
  sendUpTo(bodyOffset: number, wire: Wire, to: Side): boolean {
    let count = 0;
    while (count < this.#pieces.length && (this.#pieces[count]?.bodyEnd ?? 0) <= bodyOffset) count++;
    for (const { bytes } of this.#pieces.splice(0, count)) wire.send(to, bytes);
    return count > 0;
  }

  sendAll(wire: Wire, to: Side): boolean {
    return this.sendUpTo(Number.POSITIVE_INFINITY, wire, to);
  }
}
