import { once } from 'node:events';
import { createServer, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import { duplexPair } from 'node:stream';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { HpackDecoder } from '../../src/codec/hpack-decoder.ts';
import { FrameReader } from '../../src/codec/http2-frame-reader.ts';
import {
  connectionPreface,
  frameTypes,
  headersFrames,
  http2Errors,
  settingsFrame,
} from '../../src/codec/http2-frames.ts';
import { requestOfFields } from '../../src/codec/http2-request.ts';

/**
 * Header blocks near to right are shown to nghttp2 (in Node) and to our decoder. What breaks the compression of one breaks it
 * for the other, and a request that we take is taken there with the same fields in the same order.
 */
type Verdict =
  | { readonly kind: 'request'; readonly fields: readonly string[] }
  | { readonly kind: 'goaway' | 'reset'; readonly error: number };

const server = createServer();
server.on('session', (session: ServerHttp2Session) => session.on('error', () => {}));
server.on('sessionError', () => {});

/** What nghttp2 makes of a connection whose one request has this block. */
async function nghttp2Of(block: Buffer): Promise<Verdict> {
  const [client, near] = duplexPair();
  const verdict = new Promise<Verdict>((resolve) => {
    const reader = new FrameReader();
    client.on('data', (chunk: Buffer) => {
      reader.push(Buffer.from(chunk));
      while (reader.next()) {
        const { type, bytes, payload } = reader;
        if (type === frameTypes.goaway) resolve({ kind: 'goaway', error: bytes.readUInt32BE(payload + 4) });
        if (type === frameTypes.rstStream) resolve({ kind: 'reset', error: bytes.readUInt32BE(payload) });
      }
      reader.release();
    });
    server.once('stream', (stream: ServerHttp2Stream, _headers, _flags, raw: string[]) => {
      stream.on('error', () => {});
      resolve({ kind: 'request', fields: raw });
    });
  });
  server.emit('connection', near);
  client.write(Buffer.concat([connectionPreface, settingsFrame(Buffer.alloc(0)), headersFrames(1, block, true)]));
  const found = await verdict;
  server.removeAllListeners('stream');
  client.on('error', () => {});
  near.on('error', () => {});
  client.destroy();
  near.destroy();
  await Promise.all([client.closed ? undefined : once(client, 'close')]);
  return found;
}

function integer(prefixBits: number, pattern: number, value: number): number[] {
  const most = 2 ** prefixBits - 1;
  if (value < most) return [pattern | value];
  const bytes = [pattern | most];
  let rest = value - most;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push(0x80 | (rest % 128));
  return [...bytes, rest];
}

const index = fc.oneof(
  { weight: 12, arbitrary: fc.integer({ min: 15, max: 61 }) },
  { weight: 2, arbitrary: fc.integer({ min: 0, max: 64 }) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 300 }) },
);
const text = fc.oneof(
  fc.string({ unit: fc.constantFrom(...'abcx-09'), maxLength: 8 }).map((plain) => [...Buffer.from(plain)]),
  fc.array(fc.integer({ min: 0, max: 255 }), { maxLength: 6 }),
);
const string = fc
  .tuple(text, fc.constantFrom(false, false, false, true), fc.constantFrom(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1))
  .map(([bytes, isHuffman, more]) => [...integer(7, isHuffman ? 0x80 : 0, bytes.length + more), ...bytes]);
const literal = fc
  .tuple(fc.constantFrom([6, 0x40], [4, 0x00], [4, 0x10]), index, string, string)
  .map(([[bits = 4, pattern = 0], name, ownName, value]) => [
    ...integer(bits, pattern, name),
    ...(name === 0 ? ownName : []),
    ...value,
  ]);
const representation = fc.oneof(
  { weight: 8, arbitrary: literal },
  { weight: 6, arbitrary: index.map((place) => integer(7, 0x80, place)) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 5_000 }).map((size) => integer(5, 0x20, size)) },
);
const request = [0x82, 0x87, 0x84, 0x41, 9, ...Buffer.from('a.example')];
const block = fc
  .tuple(
    fc.constantFrom([], [], [], [0x20], [0x3f, 0xe1, 0x1f], [0x3f, 0xe2, 0x1f]),
    fc.array(representation, { maxLength: 5 }),
    fc.option(fc.tuple(fc.nat(200), fc.integer({ min: 0, max: 255 }), fc.boolean()), { freq: 2 }),
  )
  .map(([update, parts, change]) => {
    const bytes = [...update, ...request, ...parts.flat()];
    if (change === null) return Buffer.from(bytes);
    const [place, value, isCut] = change;
    const at = place % bytes.length;
    return Buffer.from(isCut ? bytes.slice(0, at) : bytes.with(at, value));
  });

test('what nghttp2 and we make of a header block is the same', { timeout: 120_000 }, async () => {
  const seen = { request: 0, compression: 0, malformed: 0, strict: 0 };
  await fc.assert(
    fc.asyncProperty(block, async (bytes) => {
      const theirs = await nghttp2Of(bytes);
      const decoder = new HpackDecoder();
      const fields = decoder.decode(bytes, 0, bytes.length);
      const isBroken = theirs.kind === 'goaway' && theirs.error === http2Errors.compressionError;
      expect({ isBroken, fault: decoder.fault }).toEqual({ isBroken: decoder.fault !== '', fault: decoder.fault });
      if (isBroken) {
        seen.compression += 1;
        return;
      }
      const { fault } = requestOfFields(fields, 1, true);
      if (fault !== undefined) {
        // Where they leave out what they do not like, we refuse.
        seen[theirs.kind === 'request' ? 'strict' : 'malformed'] += 1;
        return;
      }
      seen.request += 1;
      expect(theirs).toEqual({ kind: 'request', fields: fields.flatMap(({ name, value }) => [name, value]) });
    }),
    { numRuns: 6_000 },
  );
  console.info(JSON.stringify(seen));
  for (const count of Object.values(seen)) expect(count).toBeGreaterThan(10);
});
