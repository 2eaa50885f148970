import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  extendedPortText,
  hostPortText,
  parseExtendedPassive,
  parseExtendedPort,
  parseHostPort,
} from '../../src/codec/ftp-address.ts';
import { parseFtpCommand } from '../../src/codec/ftp-command.ts';
import { filterFeatures } from '../../src/codec/ftp-offer.ts';
import { FtpReplyReader } from '../../src/codec/ftp-reply.ts';
import { mutated } from '../support/mutated.ts';

const bytes = (text: string) => Buffer.from(text, 'latin1');

describe('a command line', () => {
  it.each([
    ['retr a b \r\n', 'RETR', 'a b '],
    ['PASV\r\n', 'PASV', ''],
    ['STOR \xe5\r\n', 'STOR', '\xe5'],
    ['\xff\xf4\xff\xf2ABOR\r\n', 'ABOR', ''],
    ['\xff\xf4\xf2ABOR\r\n', 'ABOR', ''],
  ])('%j is read', (text, verb, argument) => {
    expect(parseFtpCommand(bytes(text))).toMatchObject({ verb, argument });
  });

  it.each(['RETR a\rb\r\n', 'RETR a\0\r\n', 'RETR a\n', 'RETR a\xff\xf4b\r\n', ' RETR a\r\n', 'RETR\ta\r\n', '\r\n'])(
    '%j is none',
    (text) => {
      expect(parseFtpCommand(bytes(text))).toBeUndefined();
    },
  );

  it('is passed on without Telnet signals, which no argument can hold', () => {
    expect(parseFtpCommand(bytes('\xff\xf4\xff\xf2ABOR\r\n'))?.line.toString('latin1')).toBe('ABOR\r\n');
  });

  it('never spans lines, whatever it is made of', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (random) => {
        const command = parseFtpCommand(Buffer.concat([Buffer.from(random), bytes('\r\n')]));
        const line = command?.line.toString('latin1') ?? 'x\r\n';
        expect(line.slice(0, -2)).not.toMatch(/[\r\n\0\xff]/);
      }),
    );
  });
});

describe('replies', () => {
  const stream =
    '220-Hello\r\n 220 inside\r\n220-more\r\n221 no end\r\n220 ready\r\n331 go\r\n211-Features:\r\n MODE Z\r\n211 End\r\n';

  it('are told apart over any segmentation', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(stream.length), { maxLength: 12 }), (cuts) => {
        const reader = new FtpReplyReader();
        const found: { code: number; raw: string }[] = [];
        const edges = [0, ...cuts.sort((a, b) => a - b), stream.length];
        for (const [index, from] of edges.slice(0, -1).entries()) {
          reader.push(bytes(stream.slice(from, edges[index + 1])));
          for (let reply = reader.next(); reply !== undefined; reply = reader.next()) {
            found.push({ code: reply.code, raw: reply.raw.toString('latin1') });
          }
        }
        expect(found.map(({ code }) => code)).toEqual([220, 331, 211]);
        expect(found.map(({ raw }) => raw).join('')).toBe(stream);
      }),
    );
  });

  it.each([
    '22 x\r\n',
    'hello\r\n',
    '220 a\nb\r\n',
    '220 a\0\r\n',
    '620 x\r\n',
    '2200 x\r\n',
    `220 ${'x'.repeat(9_000)}`,
  ])('%j is none', (text) => {
    const reader = new FtpReplyReader();
    reader.push(bytes(text));
    expect(reader.next()).toBeUndefined();
    expect(reader.fault).toBeDefined();
  });

  it('lose what FEAT may not offer', () => {
    const reader = new FtpReplyReader();
    reader.push(
      bytes(
        '211-Features:\r\n AUTH TLS\r\n AUTH SSL\r\n CCC\r\n CPSV\r\n MODE Z\r\n REST STREAM\r\n SSCN\r\n211 End\r\n',
      ),
    );
    const reply = reader.next();
    expect(reply && filterFeatures(reply, false).toString()).toBe(
      '211-Features:\r\n AUTH TLS\r\n REST STREAM\r\n211 End\r\n',
    );
  });

  it('lose it near to right ones too, and nothing that they may offer', () => {
    let read = 0;
    const features = ' AUTH TLS;SSL\r\n CCC\r\n\tcpsv \r\n MODE Z\r\n REST STREAM\r\n SSCN\r\n';
    const framed = (inner: Buffer) => Buffer.concat([bytes('211-F:\r\n'), inner, bytes('211 End\r\n')]);
    const offers = fc.oneof(mutated(features).map(framed), mutated(framed(bytes(features))));
    fc.assert(
      fc.property(offers, fc.boolean(), (offer, mayClear) => {
        const reader = new FtpReplyReader();
        reader.push(offer);
        const reply = reader.next();
        if (reply === undefined || reply.lines.length < 3) return;
        read += 1;
        const kept = filterFeatures(reply, mayClear).toString('latin1').split('\n').slice(0, -1);
        const inside = kept.slice(1, -1).map((line) => line.trim().toUpperCase().split(' ')[0]);
        const refused = ['CPSV', 'SSCN', 'MODE', ...(mayClear ? [] : ['CCC'])];
        expect(inside.filter((word) => word !== undefined && refused.includes(word))).toEqual([]);
        const before = reply.raw.toString('latin1').split('\n');
        expect(before.filter((line) => kept.includes(line)).length).toBeGreaterThanOrEqual(kept.length);
        if (before.includes(' REST STREAM\r')) expect(kept).toContain(' REST STREAM\r');
      }),
      { numRuns: 2_000 },
    );
    expect(read).toBeGreaterThan(200);
  });
});

describe('data addresses', () => {
  const port = fc.integer({ min: 0, max: 65_535 });

  it('are read as they are written', () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.constantFrom('2001:db8::1', '::1')), port, (ip, number) => {
        const address = { ip, port: number };
        expect(parseExtendedPort(extendedPortText(address))).toEqual(address);
        const text = hostPortText(address);
        if (text !== undefined) expect(parseHostPort(text)).toEqual(address);
      }),
    );
  });

  it.each([
    ['Entering Passive Mode (10,0,0,1,4,210).', { ip: '10.0.0.1', port: 1_234 }],
    ['Entering Passive Mode 10,0,0,1,4,210', { ip: '10.0.0.1', port: 1_234 }],
    ['(256,0,0,1,4,210)', undefined],
    ['(10,0,0,1,4)', undefined],
    ['(10,0,0,1,4,210,7)', undefined],
  ])('227 %j', (text, address) => expect(parseHostPort(text)).toEqual(address));

  it.each([
    ['Entering (|||6446|)', 6_446],
    ['(!!!6446!)', 6_446],
    ['(|||66446|)', undefined],
    ['(|1|10.0.0.1|6446|)', undefined],
  ])('229 %j', (text, number) => expect(parseExtendedPassive(text)).toBe(number));

  it.each(['|2|10.0.0.1|99|', '|1|::1|99|', '|1|10.0.0.1|99', '|3|x|1|', '|1|10.0.0.1|70000|'])(
    'EPRT %j is none',
    (text) => {
      expect(parseExtendedPort(text)).toBeUndefined();
    },
  );
});
