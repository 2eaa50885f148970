import { BlockList, isIPv4, isIPv6 } from 'node:net';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalIp, formatIp, parseIp } from '../../src/codec/ip-address.ts';

describe('canonicalIp', () => {
  it.each([
    ['192.0.2.1', '192.0.2.1'],
    ['0.0.0.0', '0.0.0.0'],
    ['::', '::'],
    ['::1', '::1'],
    ['1::', '1::'],
    ['2001:DB8:0:0:8:800:200C:417A', '2001:db8::8:800:200c:417a'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
    ['2001:db8::1:0:0:1', '2001:db8::1:0:0:1'],
    ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['::ffff:c000:201', '192.0.2.1'],
    ['::192.0.2.1', '::c000:201'],
    ['64:ff9b::192.0.2.1', '64:ff9b::c000:201'],
  ])('of %s is %s', (text, canonical) => {
    expect(canonicalIp(text)).toBe(canonical);
  });

  it.each([
    '',
    '1.2.3',
    '1.2.3.4.5',
    '1.2.3.256',
    '01.2.3.4',
    '0x7f.0.0.1',
    '1.2.3.4 ',
    '1.2.3.-1',
    '1.2.3.1e1',
    '1..3.4',
    '127.1',
    '2130706433',
    ':',
    ':::',
    '1::2::3',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '1:2:3:4:5:6:7:8::',
    '12345::',
    '::g',
    '::1%eth0',
    '1.2.3.4::',
    '::1.2.3.4:5',
    '1:2:3:4:5:6:7:1.2.3.4',
    '[::1]',
    `::${'1'.repeat(50)}`,
  ])('of %j is none', (text) => {
    expect(canonicalIp(text)).toBeUndefined();
  });

  it('accepts what Node accepts, apart from zones, and nothing else', () => {
    const nearly = fc.string({ unit: fc.constantFrom(...'0123456789af:.'), maxLength: 20 });
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6(), nearly), (text) => {
        expect(parseIp(text) !== undefined).toBe(isIPv4(text) || isIPv6(text));
      }),
      { numRuns: 3_000 },
    );
  });

  it('means the same address as Node does, and is its own canonical form', () => {
    fc.assert(
      fc.property(fc.ipV6(), (text) => {
        const canonical = canonicalIp(text) ?? '';
        const list = new BlockList();
        list.addAddress(text, 'ipv6');
        expect(list.check(canonical, isIPv4(canonical) ? 'ipv4' : 'ipv6')).toBe(true);
        expect(canonicalIp(canonical)).toBe(canonical);
        const url = new URL(`http://[${text}]/`).hostname.slice(1, -1);
        if (!isIPv4(canonical)) expect(canonical).toBe(url);
      }),
    );
  });

  it('turns any bytes into text and back', () => {
    const bytes = fc.oneof(
      fc.uint8Array({ minLength: 4, maxLength: 4 }),
      fc.uint8Array({ minLength: 16, maxLength: 16 }),
    );
    fc.assert(
      fc.property(bytes, (raw) => {
        const address = Buffer.from(raw);
        const back = parseIp(formatIp(address));
        const isMapped = raw.length === 16 && formatIp(address).startsWith('::ffff:');
        if (!isMapped) expect(back).toEqual(address);
      }),
    );
  });
});
