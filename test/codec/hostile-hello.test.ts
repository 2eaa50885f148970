import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseClientHello } from '../../src/codec/client-hello.ts';
import { resumptionOfferOf } from '../../src/codec/client-hello-resumption.ts';
import { helloOfPieces, openQuicInitial, quicIdsOf, refuseQuic } from '../../src/codec/quic-initial.ts';
import { TlsRecords } from '../../src/codec/tls-records.ts';
import { limits } from '../../src/core/limits.ts';
import { mutated } from '../support/mutated.ts';
import { quicHello, sealInitial } from '../support/quic-initial.ts';
import { clientHello, inRecords, serverNames, sized16, u16 } from './hello-builder.ts';

const message = clientHello({
  sessionId: Buffer.alloc(32, 7),
  extensions: [serverNames('a.example'), [35, Buffer.alloc(40, 1)], [41, sized16(u16(1), u16(2))]],
});

describe('a ClientHello near to a right one', () => {
  it('has an offer to resume that is read wherever the hello itself is', () => {
    let read = 0;
    // Half of them keep the lengths of what is around what was changed.
    const octets = (most: number) => fc.uint8Array({ maxLength: most }).map((bytes) => Buffer.from(bytes));
    const extension = fc.tuple(fc.constantFrom(16, 35, 41, 0x5a5a, 0xfe0d), octets(30));
    const built = fc
      .record({
        sessionId: octets(33),
        extensions: fc.uniqueArray(extension, { maxLength: 6, selector: ([type]) => type }),
      })
      .map(clientHello);
    fc.assert(
      fc.property(fc.oneof(mutated(message), built), (bytes) => {
        const parse = parseClientHello(inRecords(bytes));
        if (parse.kind !== 'complete') return;
        read += 1;
        const { sessionId, hasTicket, hasPreSharedKey } = resumptionOfferOf(parse.helloBytes);
        expect(sessionId.length).toBeLessThanOrEqual(64);
        // What is offered stands in the bytes.
        if (hasTicket) expect(parse.helloBytes.includes(u16(35))).toBe(true);
        if (hasPreSharedKey) expect(parse.helloBytes.includes(u16(41))).toBe(true);
      }),
      { numRuns: 4_000 },
    );
    expect(read).toBeGreaterThan(100);
    const whole = parseClientHello(inRecords(message));
    expect(whole.kind === 'complete' && resumptionOfferOf(whole.helloBytes)).toEqual({
      sessionId: '07'.repeat(32),
      hasTicket: true,
      hasPreSharedKey: true,
    });
  });
});

describe('records of TLS, near to right ones', () => {
  const stream = Buffer.concat([
    inRecords(message, 100),
    Buffer.from('1703030003abc', 'latin1'),
    inRecords(Buffer.alloc(7)),
  ]);
  /** What is taken off and what is left, when the stream comes in pieces. */
  const split = (bytes: Buffer, cuts: readonly number[]) => {
    const records = new TlsRecords();
    const ends = [...cuts.map((cut) => Math.floor(cut * bytes.length)), bytes.length].sort((a, b) => a - b);
    const taken: Buffer[] = [];
    for (const [index, end] of ends.entries()) {
      records.push(bytes.subarray(ends[index - 1] ?? 0, end));
      for (let record = records.take(); record !== undefined; record = records.take()) taken.push(record);
    }
    return { taken, isForeign: records.isForeign, left: records.rest() ?? Buffer.alloc(0) };
  };

  it('lose no byte and give none twice, wherever they are cut, and end at the same place', () => {
    const cuts = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 8 });
    fc.assert(
      fc.property(mutated(stream), cuts, (bytes, where) => {
        const whole = split(bytes, []);
        const pieces = split(bytes, where);
        expect(Buffer.concat([...pieces.taken, pieces.left])).toEqual(bytes);
        expect(pieces.left).toEqual(whole.left);
        expect(pieces.isForeign).toBe(whole.isForeign);
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('a QUIC packet near to a right one', () => {
  const datagram = quicHello(message);

  it('is opened or not, never thrown on, and its ids are short enough to be answered', () => {
    fc.assert(
      fc.property(
        mutated(datagram, Buffer.concat([datagram, datagram])),
        fc.option(fc.uint8Array(), { nil: undefined }),
        (bytes, id) => {
          openQuicInitial(bytes, id === undefined ? undefined : Buffer.from(id));
          const ids = quicIdsOf(bytes);
          if (ids === undefined) return;
          const answer = refuseQuic(ids);
          expect(answer.length).toBe(11 + ids.destinationId.length + ids.sourceId.length);
          expect(Math.max(ids.destinationId.length, ids.sourceId.length)).toBeLessThanOrEqual(20);
        },
      ),
      { numRuns: 3_000 },
    );
  });

  it('holds frames that are read or left out, behind a seal that is right', () => {
    const acks = Buffer.from('020a00010003' + '0300000000010203' + '01', 'hex');
    const crypto = Buffer.concat([Buffer.from([6, 0, 0x40, message.length]), message]);
    let opened = 0;
    fc.assert(
      fc.property(mutated(Buffer.concat([acks, crypto, Buffer.alloc(30)]), crypto), (payload) => {
        if (payload.length < 20) return;
        const initial = openQuicInitial(sealInitial('v1', payload));
        expect(initial).toBeDefined();
        opened += 1;
        const { pieces = [] } = initial ?? {};
        expect(pieces.reduce((total, { bytes }) => total + bytes.length, 0)).toBeLessThanOrEqual(payload.length);
        helloOfPieces(pieces);
      }),
      { numRuns: 2_000 },
    );
    expect(opened).toBeGreaterThan(500);
  });

  it('gives the same hello from whatever pieces, in any order, some of them twice', () => {
    const expected = helloOfPieces([{ offset: 0, bytes: message }]);
    expect(expected?.serverName).toBe('a.example');
    const places = fc.array(fc.nat(message.length), { maxLength: 10 });
    const shuffled = places.chain((ends) => {
      const sorted = [0, ...[...ends].sort((a, b) => a - b), message.length];
      const pieces = sorted.slice(1).map((end, index) => {
        const offset = sorted[index] ?? 0;
        return { offset, bytes: message.subarray(offset, end) };
      });
      return fc.shuffledSubarray([...pieces, ...pieces.slice(0, 2)], {
        minLength: pieces.length + Math.min(2, pieces.length),
      });
    });
    fc.assert(
      fc.property(shuffled, (pieces) => {
        expect(helloOfPieces(pieces)).toEqual(expected);
      }),
    );
  });

  it('has pieces that lie anywhere, and cost no more memory than a hello may', () => {
    const piece = fc.record({
      offset: fc.oneof(fc.nat(400), fc.nat(), fc.constantFrom(limits.quicCryptoBytes, 2 ** 62)),
      bytes: fc.oneof(mutated(message), fc.constant(message)),
    });
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
        helloOfPieces(pieces);
      }),
    );
  });
});
