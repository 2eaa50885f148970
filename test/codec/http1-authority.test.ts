import { describe, expect, test } from 'vitest';
import { canonicalHost } from '../../src/codec/host.ts';
import { destinationOf, parseAuthority } from '../../src/codec/http1-authority.ts';

describe('an authority', () => {
  test.each([
    ['a.example', 'a.example', undefined],
    ['A.Example.:443', 'a.example', 443],
    ['localhost', 'localhost', undefined],
    ['my_host-1.example:65535', 'my_host-1.example', 65_535],
    ['10.0.0.1:1', '10.0.0.1', 1],
    ['[2001:DB8::1]', '2001:db8::1', undefined],
    ['[2001:db8:0:0::1]:8443', '2001:db8::1', 8443],
    ['[::ffff:10.0.0.1]', '10.0.0.1', undefined],
    [`${'a'.repeat(63)}.example`, `${'a'.repeat(63)}.example`, undefined],
  ])('%s is read', (text, host, port) => {
    expect(parseAuthority(text)).toEqual({ host, port });
  });

  test.each([
    '',
    ':80',
    'a.example:',
    'a.example:0',
    'a.example:080',
    'a.example:65536',
    'a.example:8o',
    'a.example:80:80',
    'a.example :80',
    ' a.example',
    'a,b',
    'a b',
    'u@a.example',
    'a.example/',
    'a.example?',
    'a.example#',
    'a\\b',
    'a%41',
    '.',
    '.a',
    'a..b',
    '-a.example',
    '[::1',
    '::1',
    '[::1]x',
    '[::1]80',
    '[a.example]',
    '[10.0.0.1]',
    '[fe80::1%eth0]',
    '1.2.3',
    '1.2.3.4.5',
    '127.1',
    '0x7f.1',
    '0x7f000001',
    '2130706433',
    '010.0.0.1',
    '256.0.0.1',
    'a.1',
    '1',
    `${'a'.repeat(64)}.example`,
    `${'a.'.repeat(127)}example`,
    'b\xfccher.example',
    'a.example\0',
  ])('%j is refused', (text) => {
    expect(parseAuthority(text)).toBeUndefined();
  });

  test('is read the short way and the long way alike', () => {
    const letters = ['a', '1', '-', '.', '_', 'A'];
    for (let code = 0; code < letters.length ** 5; code++) {
      let text = '';
      for (let left = code; left > 0; left = Math.floor(left / letters.length))
        text += letters[left % letters.length] ?? '';
      expect(parseAuthority(text)?.host).toBe(canonicalHost(text));
    }
  });
});

test('a destination is its own address where the host is one', () => {
  expect(destinationOf('a.example', 80)).toEqual({ host: 'a.example', port: 80 });
  expect(destinationOf('10.0.0.1', 80)).toEqual({ host: '10.0.0.1', port: 80, ip: '10.0.0.1' });
  expect(destinationOf('::1', 80)).toEqual({ host: '::1', port: 80, ip: '::1' });
});
