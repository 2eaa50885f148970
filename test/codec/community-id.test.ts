import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { communityId } from '../../src/codec/community-id.ts';

const address = fc.record({
  ip: fc.oneof(fc.ipV4(), fc.ipV6()),
  port: fc.integer({ min: 0, max: 65_535 }),
});

describe('communityId', () => {
  // The baseline values of the specification's repository, seed 0.
  it.each([
    ['128.232.110.120', 34855, '66.35.250.204', 80, 6, '1:LQU9qZlK+B5F3KDmev6m5PMibrg='],
    ['66.35.250.204', 80, '128.232.110.120', 34855, 6, '1:LQU9qZlK+B5F3KDmev6m5PMibrg='],
    [
      '2001:470:e5bf:dead:4957:2174:e82c:4887',
      63943,
      '2607:f8b0:400c:c03::1a',
      25,
      6,
      '1:/qFaeAR+gFe1KYjMzVDsMv+wgU4=',
    ],
    ['192.168.1.52', 54585, '8.8.8.8', 53, 17, '1:d/FP5EW3wiY1vCndhwleRRKHowQ='],
    ['192.168.170.8', 7, '192.168.170.56', 80, 132, '1:jQgCxbku+pNGw8WPbEc/TS/uTpQ='],
  ])('of %s:%i and %s:%i, protocol %i, is %s', (ip, port, otherIp, otherPort, protocol, id) => {
    expect(communityId({ ip, port }, { ip: otherIp, port: otherPort }, protocol)).toBe(id);
  });

  it('is the same in both directions', () => {
    fc.assert(
      fc.property(address, address, (one, other) => {
        expect(communityId(one, other)).toBe(communityId(other, one));
        expect(communityId(one, other)).toMatch(/^1:[A-Za-z0-9+/]{27}=$/);
      }),
    );
  });

  it('takes a link-local address as a socket gives it, and IPv4-mapped as IPv4', () => {
    const peer = { ip: 'fe80::2', port: 443 };
    expect(communityId({ ip: 'fe80::1%eth0', port: 1 }, peer)).toBe(communityId({ ip: 'fe80::1', port: 1 }, peer));
    const ipv4 = { ip: '192.0.2.2', port: 443 };
    const mapped = communityId({ ip: '::ffff:192.0.2.1', port: 1 }, ipv4);
    expect(mapped).toBe(communityId({ ip: '192.0.2.1', port: 1 }, ipv4));
  });
});
