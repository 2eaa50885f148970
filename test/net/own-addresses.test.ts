import { describe, expect, it } from 'vitest';
import { createOwnAddressCheck } from '../../src/net/own-addresses.ts';

const own = () => ['127.0.0.1', '::1', '10.0.0.5', 'fe80::1%eth0', '2001:db8::5'];
const check = (...listeners: string[]) =>
  createOwnAddressCheck(
    listeners.map((text) => {
      const at = text.lastIndexOf(':');
      return { ip: text.slice(0, at), port: Number(text.slice(at + 1)) };
    }),
    own,
  );
const is = (ip: string, port = 8080) => ({ ip, port });

describe('the own-address check', () => {
  it.each([
    '0.0.0.0',
    '127.0.0.1',
    '127.9.9.9',
    '10.0.0.5',
    '::ffff:10.0.0.5',
    '::ffff:7f00:1',
    '::',
    '0:0:0:0:0:0:0:0',
    '::ffff:0.0.0.0',
  ])('finds a listener on all IPv4 addresses at %s', (ip) => {
    expect(check('0.0.0.0:8080')(is(ip))).toBe(true);
  });

  it.each([
    '::1',
    '0:0:0:0:0:0:0:1',
    '2001:db8::5',
    '2001:DB8:0::5',
    'fe80::1',
    'fe80::1%eth0',
    '10.0.0.5',
    '127.0.0.1',
  ])('finds a dual-stack listener at %s', (ip) => {
    expect(check(':::8080')(is(ip))).toBe(true);
  });

  it.each(['10.0.0.6', '2001:db8::6', '192.0.2.1', '::ffff:192.0.2.1'])('leaves %s alone', (ip) => {
    expect(check('0.0.0.0:8080', ':::8080')(is(ip))).toBe(false);
  });

  it('leaves other ports and other own addresses alone', () => {
    const isOwn = check('127.0.0.1:8080', '10.0.0.5:9443');
    expect(isOwn(is('127.0.0.1', 8081))).toBe(false);
    expect(isOwn(is('10.0.0.5', 8080))).toBe(false);
    expect(isOwn(is('10.0.0.5', 9443))).toBe(true);
    expect(isOwn(is('0.0.0.0', 9443))).toBe(true);
    expect(check('0.0.0.0:8080')(is('2001:db8::5'))).toBe(false);
  });

  it('reads the real interfaces', () => {
    expect(createOwnAddressCheck([{ ip: '::', port: 1 }])({ ip: '127.0.0.1', port: 1 })).toBe(true);
  });
});
