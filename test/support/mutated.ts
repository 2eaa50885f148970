import fc from 'fast-check';

/** One change of a text of bytes. */
type Edit = (bytes: Buffer) => Buffer;

const place = fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true });
/** Octets that mean something to many parsers, and others. */
const octet = fc.oneof(fc.nat(255), fc.constantFrom(0, 9, 10, 13, 32, 34, 37, 44, 47, 58, 59, 64, 91, 127, 128, 255));

const edit: fc.Arbitrary<Edit> = fc.oneof(
  fc.tuple(place, octet).map(
    ([at, value]) =>
      (bytes: Buffer) =>
        splice(bytes, at, 1, Buffer.of(value)),
  ),
  fc.tuple(place, octet).map(
    ([at, value]) =>
      (bytes: Buffer) =>
        splice(bytes, at, 0, Buffer.of(value)),
  ),
  fc.tuple(place, fc.nat(20)).map(
    ([at, length]) =>
      (bytes: Buffer) =>
        splice(bytes, at, length, Buffer.alloc(0)),
  ),
  fc.tuple(place, fc.nat(64)).map(([at, length]) => (bytes: Buffer) => {
    const start = Math.floor(at * bytes.length);
    return splice(bytes, at, 0, bytes.subarray(start, start + length));
  }),
  place.map((at) => (bytes: Buffer) => bytes.subarray(0, Math.floor(at * bytes.length))),
);

/** Bytes near to some that are right, as a fuzzer makes them, and now and then bytes near to nothing. */
export function mutated(...seeds: readonly (Buffer | string)[]): fc.Arbitrary<Buffer> {
  const buffers = seeds.map((seed) => (typeof seed === 'string' ? Buffer.from(seed, 'latin1') : seed));
  const near = fc
    .tuple(fc.constantFrom(...buffers), fc.array(edit, { minLength: 1, maxLength: 6 }))
    .map(([seed, edits]) => edits.reduce((bytes, change) => change(bytes), seed));
  const anything = fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes));
  return fc.oneof({ weight: 8, arbitrary: near }, { weight: 1, arbitrary: anything });
}

function splice(bytes: Buffer, at: number, removed: number, added: Buffer): Buffer {
  const start = Math.floor(at * bytes.length);
  return Buffer.concat([bytes.subarray(0, start), added, bytes.subarray(start + removed)]);
}
