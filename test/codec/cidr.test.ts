import { BlockList, isIPv4 } from 'node:net';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileCidrs, parseCidr } from '../../src/codec/cidr.ts';

describe('compileCidrs', () => {
  it.each([
    ['10.1.0.0/24', '10.1.0.255', true],
    ['10.1.0.0/24', '10.1.1.0', false],
    ['10.1.0.77/24', '10.1.0.1', true],
    ['0.0.0.0/0', '255.255.255.255', true],
    ['0.0.0.0/0', '::1', false],
    ['::/0', '2001:db8::1', true],
    ['::/0', '192.0.2.1', false],
    ['192.0.2.1', '192.0.2.1', true],
    ['192.0.2.1', '192.0.2.2', false],
    ['2001:db8::/33', '2001:db8:7fff::1', true],
    ['2001:db8::/33', '2001:db8:8000::', false],
    ['10.0.0.0/8', '::ffff:10.2.3.4', true],
    ['::ffff:10.0.0.0/104', '10.2.3.4', true],
    ['10.0.0.0/8', 'no address', false],
  ])('%s holds %s: %s', (cidr, ip, held) => {
    expect(compileCidrs([cidr])(ip)).toBe(held);
  });

  it('holds nothing when there is no block', () => {
    expect(compileCidrs([])('192.0.2.1')).toBe(false);
  });

  it('agrees with Node on any set of blocks', () => {
    const block4 = fc.tuple(fc.ipV4(), fc.integer({ min: 0, max: 32 }));
    const block6 = fc.tuple(fc.ipV6(), fc.integer({ min: 0, max: 128 })).filter(([ip]) => parseCidr(ip)?.family === 6);
    const near = (ip: string): string => (isIPv4(ip) ? ip.replace(/\d+$/, '7') : ip);
    fc.assert(
      fc.property(
        fc.array(fc.oneof(block4, block6), { maxLength: 12 }),
        fc.array(fc.oneof(fc.ipV4(), fc.ipV6()), { maxLength: 5 }),
        (blocks, others) => {
          // One list per family: Node lets `::/0` hold IPv4 addresses.
          const lists = { ipv4: new BlockList(), ipv6: new BlockList() };
          const family = (ip: string) => (isIPv4(ip) ? 'ipv4' : 'ipv6');
          for (const [ip, prefix] of blocks) lists[family(ip)].addSubnet(ip, prefix, family(ip));
          const holds = compileCidrs(blocks.map(([ip, prefix]) => `${ip}/${prefix}`));
          for (const ip of [...others, ...blocks.flatMap(([own]) => [own, near(own)])]) {
            if (!isIPv4(ip) && parseCidr(ip)?.family === 4) continue;
            expect(holds(ip)).toBe(lists[family(ip)].check(ip, family(ip)));
          }
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe('parseCidr', () => {
  it.each([
    '',
    '/8',
    '10.0.0.0/',
    '10.0.0.0/33',
    '10.0.0.0/-1',
    '10.0.0.0/08',
    '10.0.0.0/8/8',
    '10.0.0.0/8 ',
    '10.0/8',
    '::/129',
    '::ffff:10.0.0.0/95',
    '::1%eth0/64',
    'example.com',
    '10.0.0.0/1e1',
  ])('refuses %j, and so does compiling', (text) => {
    expect(parseCidr(text)).toBeUndefined();
    expect(() => compileCidrs(['10.0.0.0/8', text])).toThrow(RangeError);
  });

  it('gives family, first and last address', () => {
    expect(parseCidr('10.1.2.3/30')).toEqual({ family: 4, first: 0x0a010200n, last: 0x0a010203n });
    expect(parseCidr('::1')).toEqual({ family: 6, first: 1n, last: 1n });
  });
});
