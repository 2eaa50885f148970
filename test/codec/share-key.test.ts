import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatIp } from '../../src/codec/ip-address.ts';
import { shareKeyOf } from '../../src/codec/share-key.ts';

describe('whose share it is', () => {
  it.each([
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['::ffff:c000:201', '192.0.2.1'],
    ['64:ff9b::192.0.2.1', '192.0.2.1'],
    ['2001:db8:1:2::1', '20010db800010002::/64'],
    ['2001:db8:1:2:ffff:ffff:ffff:ffff', '20010db800010002::/64'],
    ['2001:DB8:1:2::', '20010db800010002::/64'],
    ['2001:db8:1:3::1', '20010db800010003::/64'],
    ['fe80::1%eth0', 'fe80000000000000::/64'],
    ['::1', '0000000000000000::/64'],
    ['', ''],
    ['no address', 'no address'],
    ['1:2:3', '1:2:3'],
  ])('is told of %s by %s', (ip, key) => {
    expect(shareKeyOf(ip)).toBe(key);
  });

  it('is one for two IPv6 clients exactly where the first half of their addresses is', () => {
    // Of 2000::/3, which holds all global addresses and no IPv4.
    const bytes = fc.uint8Array({ minLength: 16, maxLength: 16 }).map((all) => Buffer.from(all).fill(0x20, 0, 1));
    const half = fc.uint8Array({ minLength: 8, maxLength: 8 });
    fc.assert(
      fc.property(bytes, half, half, (one, rest, network) => {
        const neighbour = Buffer.concat([one.subarray(0, 8), rest]);
        expect(shareKeyOf(formatIp(neighbour))).toBe(shareKeyOf(formatIp(one)));
        const other = Buffer.concat([Buffer.from(network).fill(0x20, 0, 1), one.subarray(8)]);
        const isSame = other.equals(one);
        expect(shareKeyOf(formatIp(other)) === shareKeyOf(formatIp(one))).toBe(isSame);
      }),
    );
  });

  it('is told of whatever stands in place of an address', () => {
    const odd = fc.string({ unit: fc.constantFrom(':', '.', '%', 'f', '1', 'ffff', '::', 'g'), maxLength: 20 });
    fc.assert(
      fc.property(odd, (text) => {
        expect(shareKeyOf(text).length).toBeLessThanOrEqual(Math.max(text.length, '20010db800010002::/64'.length));
      }),
    );
  });

  it('is one for two IPv4 clients only where they are the same', () => {
    expect(shareKeyOf('::ffff:192.0.2.1')).not.toBe(shareKeyOf('::ffff:192.0.2.2'));
    expect(shareKeyOf('64:ff9b::192.0.2.1')).not.toBe(shareKeyOf('64:ff9b::192.0.2.2'));
  });
});
