/**
 * Reads length-prefixed structures of big-endian numbers. It never throws: the first thing that does not fit is kept in
 * `fault`, the cursor then stands at its end and reads zeros, so that loops end and the caller asks once, at the end.
 */
export class ByteCursor {
  readonly bytes: Buffer;
  position = 0;
  /** What did not fit, first of all. */
  fault: string | undefined;
  #end: number;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
    this.#end = bytes.length;
  }

  /** Bytes left in the innermost open vector. */
  get left(): number {
    return this.#end - this.position;
  }

  fail(fault: string): number {
    this.fault ??= fault;
    this.#end = 0;
    this.position = 0;
    return 0;
  }

  u8(): number {
    if (this.left < 1) return this.fail('truncated');
    return this.bytes[this.position++] ?? 0;
  }

  u16(): number {
    if (this.left < 2) return this.fail('truncated');
    const high = this.bytes[this.position] ?? 0;
    const low = this.bytes[this.position + 1] ?? 0;
    this.position += 2;
    return (high << 8) | low;
  }

  skip(length: number): void {
    if (this.left < length) this.fail('truncated');
    else this.position += length;
  }

  /** The bytes of the next `length` as a view. */
  take(length: number): Buffer {
    const start = this.position;
    this.skip(length);
    return this.bytes.subarray(start, this.position);
  }

  /** Narrows the cursor to the next `length` bytes. Returns the outer end, for `close`. */
  open(length: number): number {
    const outer = this.#end;
    if (this.left < length) this.fail('a length goes beyond its container');
    else this.#end = this.position + length;
    return outer;
  }

  /** Leaves a vector, which must have been read to its end. */
  close(outer: number): void {
    if (this.left > 0) this.fail('trailing bytes');
    if (this.fault === undefined) this.#end = outer;
  }

  /** A vector of 16-bit numbers with a 16-bit length in bytes. */
  list16(): number[] {
    return this.#numbers16(this.u16());
  }

  /** A vector of 16-bit numbers with an 8-bit length in bytes. */
  list16Short(): number[] {
    return this.#numbers16(this.u8());
  }

  #numbers16(length: number): number[] {
    const outer = this.open(length);
    if (this.left === 0 || this.left % 2 !== 0) this.fail('a list of 16-bit numbers is empty or of odd length');
    const numbers = new Array<number>(this.left >> 1);
    for (let index = 0; index < numbers.length; index++) numbers[index] = this.u16();
    this.close(outer);
    return numbers;
  }
}
