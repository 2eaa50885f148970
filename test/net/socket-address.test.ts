import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalIp } from '../../src/codec/ip-address.ts';
import { decodeSocketAddress, encodeSocketAddress, formatAddress } from '../../src/net/socket-address.ts';

describe('socket addresses', () => {
  it('are what the kernel expects', () => {
    expect(encodeSocketAddress({ ip: '10.1.2.3', port: 443 }).toString('hex')).toBe('020001bb0a0102030000000000000000');
    expect(encodeSocketAddress({ ip: '2001:db8::1', port: 80 }).toString('hex')).toBe(
      '0a0000500000000020010db800000000000000000000000100000000',
    );
  });

  it('come back as they were', () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), fc.nat(65_535), (ip, port) => {
        expect(decodeSocketAddress(encodeSocketAddress({ ip, port }))).toEqual({ ip: canonicalIp(ip), port });
      }),
    );
  });

  it('are IPv4 when mapped, and none when of another family', () => {
    const mapped = Buffer.alloc(28);
    mapped.set([10, 0, 1, 187]);
    mapped.set([255, 255, 10, 0, 0, 1], 18);
    expect(decodeSocketAddress(mapped)).toEqual({ ip: '10.0.0.1', port: 443 });
    expect(decodeSocketAddress(Buffer.alloc(28, 1))).toBeUndefined();
    expect(() => encodeSocketAddress({ ip: 'origin.example', port: 443 })).toThrow(RangeError);
  });

  it('are written with brackets for IPv6', () => {
    expect(formatAddress({ ip: '::1', port: 443 })).toBe('[::1]:443');
    expect(formatAddress({ ip: '10.0.0.1', port: 443 })).toBe('10.0.0.1:443');
  });
});
