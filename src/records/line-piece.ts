/** Part of a line: text, or what was encoded before. */
export type LinePiece = string | Buffer;

/** A part of many lines: encoded when it turns out to be one, so that the lines after that copy bytes alone. */
export class LinePart {
  #piece: LinePiece;
  #isUsed = false;

  constructor(text: string) {
    this.#piece = text;
  }

  get text(): string {
    return textOf(this.#piece);
  }

  get piece(): LinePiece {
    if (this.#isUsed && typeof this.#piece === 'string') this.#piece = Buffer.from(this.#piece);
    this.#isUsed = true;
    return this.#piece;
  }
}

/** Bytes of pieces that are written one after the other, at most: UTF-8 takes up to three for a UTF-16 unit. */
export function mostBytesOf(pieces: readonly LinePiece[]): number {
  let bytes = 0;
  for (const piece of pieces) bytes += typeof piece === 'string' ? piece.length * 3 : piece.length;
  return bytes;
}

/** Pieces as one text. */
export function lineOf(pieces: readonly LinePiece[]): string {
  return pieces.map(textOf).join('');
}

function textOf(piece: LinePiece): string {
  return typeof piece === 'string' ? piece : piece.toString();
}
