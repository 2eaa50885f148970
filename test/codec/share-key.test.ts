import { describe, expect, it } from 'vitest';
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

  it('is one for two IPv4 clients only where they are the same', () => {
    expect(shareKeyOf('::ffff:192.0.2.1')).not.toBe(shareKeyOf('::ffff:192.0.2.2'));
    expect(shareKeyOf('64:ff9b::192.0.2.1')).not.toBe(shareKeyOf('64:ff9b::192.0.2.2'));
  });
});
