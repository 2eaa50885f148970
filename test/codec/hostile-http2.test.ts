import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HpackDecoder } from '../../src/codec/hpack-decoder.ts';
import { frameFault } from '../../src/codec/http2-frame-fault.ts';
import { FrameReader } from '../../src/codec/http2-frame-reader.ts';
import { dataFrame, frameTypes, goawayFrame, headersFrames, windowUpdateFrame } from '../../src/codec/http2-frames.ts';
import { requestOfFields } from '../../src/codec/http2-request.ts';
import { responseOfFields, trailersOfFields } from '../../src/codec/http2-response.ts';
import { initialSettings, readSettings } from '../../src/codec/http2-settings.ts';
import { mutated } from '../support/mutated.ts';

const runs = { numRuns: 3_000 };
/** Examples of RFC 7541 appendix C: requests with and without Huffman coding, and a response. */
const blocks = [
  Buffer.from('828684410f7777772e6578616d706c652e636f6d', 'hex'),
  Buffer.from('828684418cf1e3c2e5f23a6ba0ab90f4ff', 'hex'),
  Buffer.from('488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff', 'hex'),
];
const [block = Buffer.alloc(0)] = blocks;
const frames = Buffer.concat([
  headersFrames(1, block, false),
  dataFrame(1, Buffer.from('hello'), true),
  windowUpdateFrame(0, 100),
  goawayFrame(1, 0),
]);

describe('HTTP/2 near to right', () => {
  it('as a header block is decoded or refused, and judged as any message', () => {
    fc.assert(
      fc.property(mutated(...blocks), fc.boolean(), (bytes, endsStream) => {
        const decoder = new HpackDecoder();
        const fields = decoder.decode(bytes, 0, bytes.length);
        if (decoder.fault !== '') return;
        requestOfFields(fields, 1, endsStream);
        responseOfFields(fields, 'GET', endsStream);
        trailersOfFields(fields);
      }),
      runs,
    );
  });

  it('as frames is the same in whatever pieces it comes, each within its bounds', () => {
    const read = (...pieces: readonly Buffer[]): readonly string[] => {
      const reader = new FrameReader();
      const found: string[] = [];
      for (const piece of pieces) {
        reader.push(piece);
        while (reader.next()) {
          expect(reader.to).toBeLessThanOrEqual(reader.bytes.length);
          // Of DATA, pieces may be cut otherwise.
          if (reader.type !== frameTypes.data) {
            found.push(`${frameFault(reader)?.detail} ${reader.bytes.toString('hex', reader.from, reader.to)}`);
          }
        }
        reader.release();
      }
      return found;
    };
    fc.assert(
      fc.property(mutated(frames), fc.nat(60), (bytes, cut) => {
        expect(read(bytes.subarray(0, cut), bytes.subarray(cut))).toEqual(read(bytes));
      }),
      runs,
    );
  });

  it('as settings is read, or wrong for a reason', () => {
    const limited = { headerTableBytes: 4_096, concurrentStreams: 100, refusesPush: true, allowsConnect: false };
    const seed = Buffer.from('000100001000' + '000300000064' + '000400010000' + '000500004000', 'hex');
    fc.assert(
      fc.property(mutated(seed), fc.boolean(), (payload, isFirst) => {
        const read = readSettings(payload, initialSettings, limited, isFirst);
        if (read.fault !== '') return;
        expect(read.settings.mostFrameBytes).toBeGreaterThanOrEqual(16_384);
        expect(read.payload.length % 6).toBe(0);
      }),
      runs,
    );
  });
});
