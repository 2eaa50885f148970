import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { KeptWindow } from '../../src/codec/kept-window.ts';
import { changedMailHead } from '../../src/codec/mail-head-changes.ts';
import { PartPlaces } from '../../src/codec/part-places.ts';
import { transferDecoder } from '../../src/codec/transfer-encoding.ts';
import type { HeadChanges } from '../../src/core/verdict.ts';
import { mutated } from '../support/mutated.ts';

/** What is changed where it stands in a mail: places are counted in pieces that a peer chose. */

/** Bytes in pieces, cut where a peer likes. */
function inPieces(bytes: Buffer, cuts: readonly number[]): readonly Buffer[] {
  const ends = [...cuts.map((cut) => Math.floor(cut * bytes.length)), bytes.length].sort((a, b) => a - b);
  // Copies, for what is kept may be changed in place.
  return ends.map((end, index) => Buffer.from(bytes.subarray(ends[index - 1] ?? 0, end)));
}
const cuts = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 8 });
const asterisk = 0x2a;

describe('a window of the newest bytes', () => {
  const place = fc.nat(60);
  const step = fc.oneof(
    fc.uint8Array({ maxLength: 12 }).map((bytes) => ({ kind: 'push', bytes: Buffer.from(bytes) }) as const),
    place.map((before) => ({ kind: 'forget', before }) as const),
    fc.tuple(place, place).map(([from, to]) => ({ kind: 'fill', from, to }) as const),
    place.map((at) => ({ kind: 'byte', at }) as const),
    fc.constant({ kind: 'set' } as const),
  );

  it('holds what a plain array would, whatever is pushed, let go of and changed', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const window = new KeptWindow();
        const all: number[] = [];
        for (const each of steps) {
          if (each.kind === 'push') {
            window.push(Buffer.from(each.bytes));
            all.push(...each.bytes);
          } else if (each.kind === 'forget') window.forget(each.before);
          else if (each.kind === 'fill') {
            window.fill(asterisk, each.from, each.to);
            for (let at = Math.max(window.start, each.from); at < Math.min(each.to, all.length); at++)
              all[at] = asterisk;
          } else if (each.kind === 'byte') {
            window.setByte(each.at, 7);
            if (each.at >= window.start && each.at < all.length) all[each.at] = 7;
          } else {
            const others = all.slice(window.start).map((byte) => byte ^ 0xff);
            window.set(Buffer.from(others));
            all.splice(window.start, others.length, ...others);
          }
          expect(window.end).toBe(all.length);
          expect([...window.bytes()]).toEqual(all.slice(window.start));
          for (let at = 0; at <= all.length; at++) {
            expect(window.byteAt(at)).toBe(at < window.start ? undefined : all[at]);
          }
        }
      }),
      { numRuns: 500 },
    );
  });
});

/** Pushes a part as a mail relay does: what it decodes to, and its places. */
function read(encoding: string, pieces: readonly Buffer[]) {
  const places = new PartPlaces(encoding, undefined);
  const window = new KeptWindow();
  const decoder = transferDecoder(encoding);
  const text: Buffer[] = [];
  for (const piece of pieces) {
    const pending = decoder?.pendingBytes ?? 0;
    const at = window.end;
    window.push(piece);
    const decoded = decoder === undefined ? piece : decoder.push(piece);
    places.push(piece, at, decoded, pending);
    text.push(Buffer.from(decoded));
  }
  const rest = decoder?.end() ?? Buffer.alloc(0);
  places.decoded(rest);
  return { places, window, text: Buffer.concat([...text, rest]) };
}

const quoted = 'R=C3=A9sum=C3=A9 of =\r\nthe year=\r\n = 3D =3D and a long line that goes on= \t\r\nand on\r\n';
const lines = `${Buffer.from('a secret that nobody is to read, in some lines').toString('base64').slice(0, 40)}\r\n`;
const parts: readonly (readonly [encoding: string, seeds: readonly string[]])[] = [
  ['7bit', ['a secret word\r\nand another\r\n']],
  ['quoted-printable', [quoted, 'a=3Db=\r\nc=\nd', '=41=42=43']],
  ['base64', [`${lines}YWJjZGVm\r\nZ2hp\r\n`, 'YWJj ZGVm\tZ2hp', 'YQ==', 'YWI=\r\n']],
];

describe.each(parts)('a part in %s, near to a right one', (encoding, seeds) => {
  it('has its text masked just where it was asked for, in whatever pieces it came', () => {
    let masked = 0;
    const range = fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.nat(12));
    const bytes = fc.oneof(mutated(...seeds), fc.constantFrom(...seeds.map((seed) => Buffer.from(seed, 'latin1'))));
    fc.assert(
      fc.property(bytes, cuts, range, (part, where, [begin, length]) => {
        const { places, window, text } = read(encoding, inPieces(part, where));
        if (!places.isLost) expect(places.textLength).toBe(text.length);
        const from = Math.floor(begin * text.length);
        const to = Math.min(text.length, from + length);
        if (to <= from || !places.mask(window, from, to)) return;
        masked += 1;
        const after = window.bytes();
        expect(after.length).toBe(part.length);
        const again = read(encoding, [after]).text;
        expect(again.toString('latin1')).toBe(
          text.toString('latin1', 0, from) + '*'.repeat(to - from) + text.toString('latin1', to),
        );
      }),
      { numRuns: 2_000 },
    );
    expect(masked).toBeGreaterThan(300);
  });

  it('that is right is masked wherever it is asked for', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...seeds),
        cuts,
        fc.nat(40),
        fc.integer({ min: 1, max: 9 }),
        (seed, where, from, length) => {
          const { places, window, text } = read(encoding, inPieces(Buffer.from(seed, 'latin1'), where));
          const to = Math.min(text.length, from + length);
          if (to <= from) return;
          expect(places.mask(window, from, to)).toBe(true);
        },
      ),
      { numRuns: 1_000 },
    );
  });
});

describe('the head of a mail, near to a right one', () => {
  const seeds = [
    'Subject: a\r\nX-Spam: no\r\n folded\r\nTo: b@c.example\r\n\r\nX-Spam: body\r\n',
    'x-spam : old form\r\nSubject: a\n..X-Spam: dots\r\n\r\n.\r\n',
    'Subject: a\r\nX-Spam: last\r\n.\r\n',
  ];
  const changes: HeadChanges = { remove: ['x-spam'], set: [['Subject', 'b']] };
  const headLines = (mail: string): readonly string[] => mail.split(/^\r?\n/m)[0]?.split('\n') ?? [];

  it('loses the last of its lines too where the mail ends within it', () => {
    const mail = Buffer.from('X-Other: 1\r\nX-Spam: yes');
    const outcome = changedMailHead(mail, { isAll: true, isStuffed: false }, changes);
    expect(outcome?.head.toString()).toBe('Subject: b\r\nX-Other: 1\r\n');
    expect(outcome?.length).toBe(mail.length);
    expect(changedMailHead(mail, { isAll: false, isStuffed: false }, changes)).toBeUndefined();
  });

  it('loses just what is removed and gains what is set, and no other byte is touched', () => {
    let changed = 0;
    fc.assert(
      fc.property(mutated(...seeds), fc.boolean(), (mail, isStuffed) => {
        const outcome = changedMailHead(mail, { isAll: true, isStuffed }, changes);
        if (outcome === undefined) return;
        changed += 1;
        const { head, length } = outcome;
        expect(length).toBeLessThanOrEqual(mail.length);
        const after = Buffer.concat([head, mail.subarray(length)]).toString('latin1');
        expect(after.startsWith('Subject: b\r\n')).toBe(true);
        // As its receiver sees them: without the dot that was put before others.
        const seen = headLines(isStuffed ? after.slice(12).replace(/^\./gm, '') : after.slice(12));
        if (!isStuffed) expect(seen.filter((line) => /^(?:x-spam|subject)[ \t]*:/i.test(line))).toEqual([]);
        const kept = [...after.slice(12)];
        // What is left is the mail with some lines taken out, in its order.
        let at = 0;
        const whole = mail.toString('latin1');
        for (const character of kept) {
          at = whole.indexOf(character, at) + 1;
          expect(at).toBeGreaterThan(0);
        }
      }),
      { numRuns: 2_000 },
    );
    expect(changed).toBeGreaterThan(500);
  });

  it('is changed alike as soon as all of it is there, wherever the mail is cut, and not before', () => {
    fc.assert(
      fc.property(mutated(...seeds), fc.boolean(), (mail, isStuffed) => {
        const whole = changedMailHead(mail, { isAll: true, isStuffed }, changes);
        for (let end = 0; end < mail.length; end++) {
          const early = changedMailHead(mail.subarray(0, end), { isAll: false, isStuffed }, changes);
          if (early !== undefined) expect(early).toEqual(whole);
        }
      }),
      { numRuns: 500 },
    );
  });
});
