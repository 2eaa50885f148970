import { once } from 'node:events';
import {
  type ClientHttp2Session,
  connect,
  createServer,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type ServerHttp2Stream,
  sensitiveHeaders,
} from 'node:http2';
import { type Duplex, duplexPair } from 'node:stream';
import fc from 'fast-check';
import { afterEach, expect, test } from 'vitest';
import { HpackDecoder } from '../../src/codec/hpack-decoder.ts';
import { encodeFields } from '../../src/codec/hpack-encoder.ts';
import { FrameReader } from '../../src/codec/http2-frame-reader.ts';
import { connectionPreface, flags, frameTypes, headersFrames } from '../../src/codec/http2-frames.ts';

/** nghttp2, which is in Node, encodes with all of HPACK and decodes what our encoder writes. */

const sessions: ClientHttp2Session[] = [];

afterEach(() => {
  for (const session of sessions.splice(0)) session.destroy();
});

/** Passes one direction on, each header block decoded and written anew. `tableBytes` is what its receiver allows. */
function pass(from: Duplex, to: Duplex, prefaceBytes: number, tableBytes: number): void {
  const decoder = new HpackDecoder();
  decoder.allowTable(Math.max(tableBytes, 4_096));
  const reader = new FrameReader();
  let preface = prefaceBytes;
  let block: Buffer[] = [];
  let endsStream = false;
  let isFirst = true;
  from.on('data', (chunk: Buffer) => {
    to.write(chunk.subarray(0, preface));
    reader.push(chunk.subarray(preface));
    preface = 0;
    while (reader.next()) {
      const { type, bytes, payload } = reader;
      if (type !== frameTypes.headers && type !== frameTypes.continuation) {
        to.write(Buffer.from(bytes.subarray(reader.from, reader.to)));
        continue;
      }
      const padding = (reader.flags & flags.padded) === 0 ? 0 : (bytes[payload] ?? 0) + 1;
      const start = payload + (padding > 0 ? 1 : 0) + ((reader.flags & flags.priority) !== 0 ? 5 : 0);
      block.push(Buffer.from(bytes.subarray(start, reader.to - Math.max(0, padding - 1))));
      if (type === frameTypes.headers) endsStream = (reader.flags & flags.endStream) !== 0;
      if ((reader.flags & flags.endHeaders) === 0) continue;
      const whole = Buffer.concat(block);
      block = [];
      const fields = decoder.decode(whole, 0, whole.length);
      expect(decoder.fault).toBe('');
      expect(decoder.isTooLarge).toBe(false);
      to.write(headersFrames(reader.streamId, encodeFields(fields, isFirst), endsStream));
      isFirst = false;
    }
  });
}

/** A client and a server of nghttp2, whose headers all pass through our decoder and encoder. */
async function joined(tableBytes: number) {
  const seen: IncomingHttpHeaders[] = [];
  const server = createServer({ settings: { headerTableSize: tableBytes } });
  server.on('stream', (stream: ServerHttp2Stream, headers) => {
    seen.push(headers);
    const answer = Object.entries(headers).filter(([name]) => name.startsWith('x-'));
    stream.respond({ ':status': 200, ...Object.fromEntries(answer) });
    stream.end('x');
  });
  const [client, nearClient] = duplexPair();
  const [origin, nearOrigin] = duplexPair();
  pass(nearClient, nearOrigin, connectionPreface.length, tableBytes);
  pass(nearOrigin, nearClient, 0, tableBytes);
  server.emit('connection', origin);
  const session = connect('http://a.example', {
    createConnection: () => client,
    settings: { headerTableSize: tableBytes },
  });
  sessions.push(session);
  await once(session, 'remoteSettings');
  return {
    seen,
    async exchange(headers: OutgoingHttpHeaders): Promise<IncomingHttpHeaders> {
      const stream = session.request(headers);
      stream.resume();
      const [[response]] = await Promise.all([once(stream, 'response'), once(stream, 'close')]);
      return response as IncomingHttpHeaders;
    },
  };
}

const names = fc.string({
  unit: fc.constantFrom(...'abcdefghijklmnopqrstuvwxyz0123456789-_.!'),
  minLength: 1,
  maxLength: 20,
});
const values = fc.oneof(
  fc.string({ unit: fc.constantFrom(...'abcXYZ019/=;, %~"\\{}'), maxLength: 60 }),
  fc.string({ unit: fc.constantFrom('\xe4', '\xff', '\x80', 'z'), maxLength: 30 }),
  fc.constantFrom('gzip', '1', 'v'.repeat(500)),
);
const heads = fc.array(fc.tuple(names, values), { maxLength: 12 });

test.each([0, 100, 4_096, 65_536])('what nghttp2 writes arrives whole with a table of %i bytes', async (tableBytes) => {
  const { seen, exchange } = await joined(tableBytes);
  await fc.assert(
    fc.asyncProperty(heads, async (fields) => {
      const headers = Object.fromEntries(fields.map(([name, value]) => [`x-${name}`, value.trim()]));
      const sensitive = Object.keys(headers).slice(0, 2);
      const response = await exchange({ ':path': '/fuzz', ...headers, [sensitiveHeaders]: sensitive });
      const request = seen.at(-1) ?? {};
      expect({ ...request }).toMatchObject({ ':path': '/fuzz', ':authority': 'a.example:80', ...headers });
      expect({ ...response }).toMatchObject({ ':status': 200, ...headers });
      // What must never enter a table is told so to the next hop.
      expect([...((request as { [sensitiveHeaders]?: string[] })[sensitiveHeaders] ?? [])].sort()).toEqual(
        [...sensitive].sort(),
      );
    }),
    { numRuns: 150 },
  );
});
