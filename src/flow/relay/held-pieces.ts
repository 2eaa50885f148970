interface Piece {
  readonly bytes: Buffer;
  /** Body bytes of the message up to the end of the piece. */
  readonly bodyEnd: number;
}

/** Small pieces in a row that become one: each costs some 350 bytes beside its own, which nobody counts. */
const joinedPieces = 256;
const smallBytes = 1_024;

/** Pieces of one message that wait for a verdict, in order. How many bytes there may be is the inspector's to bound. */
export class HeldPieces {
  #pieces: Piece[] = [];
  /** So many of the newest are small. */
  #small = 0;

  push(bytes: Buffer, bodyEnd: number): void {
    this.#pieces.push({ bytes, bodyEnd });
    this.#small = bytes.length < smallBytes ? this.#small + 1 : 0;
    if (this.#small < joinedPieces) return;
    this.#small = 0;
    const small = this.#pieces.splice(-joinedPieces).map((piece) => piece.bytes);
    this.#pieces.push({ bytes: Buffer.concat(small), bodyEnd });
  }

  /** Takes out all pieces that end at a body offset or before it. */
  takeUpTo(bodyOffset: number): readonly Buffer[] {
    let count = 0;
    while (count < this.#pieces.length && (this.#pieces[count]?.bodyEnd ?? 0) <= bodyOffset) count++;
    const taken = this.#pieces.splice(0, count).map(({ bytes }) => bytes);
    this.#small = Math.min(this.#small, this.#pieces.length);
    return taken;
  }

  takeAll(): readonly Buffer[] {
    return this.takeUpTo(Number.POSITIVE_INFINITY);
  }
}
