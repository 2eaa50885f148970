interface Piece {
  readonly bytes: Buffer;
  /** Body bytes of the message up to the end of the piece. */
  readonly bodyEnd: number;
}

/**
 * Pieces of one message that wait for a verdict, in order, as they came: rules that mask do so in them. How many there may
 * be is the inspector's to bound.
 */
export class HeldPieces {
  #pieces: Piece[] = [];

  push(bytes: Buffer, bodyEnd: number): void {
    this.#pieces.push({ bytes, bodyEnd });
  }

  /** Takes out all pieces that end at a body offset or before it. */
  takeUpTo(bodyOffset: number): readonly Buffer[] {
    let count = 0;
    while (count < this.#pieces.length && (this.#pieces[count]?.bodyEnd ?? 0) <= bodyOffset) count++;
    return this.#pieces.splice(0, count).map(({ bytes }) => bytes);
  }

  takeAll(): readonly Buffer[] {
    return this.takeUpTo(Number.POSITIVE_INFINITY);
  }
}
