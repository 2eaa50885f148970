import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compileCidrs } from '../../src/codec/cidr.ts';
import { compileHostPatterns } from '../../src/codec/host.ts';
import { type FormatName, formats } from '../../src/config/formats.ts';
import { durationText, sizeText } from '../../src/config/quantity-format.ts';

const accepted: readonly (readonly [FormatName, string, unknown])[] = [
  ['listen-address', '127.0.0.1:8080', { ip: '127.0.0.1', port: 8080 }],
  ['listen-address', '[::]:8443', { ip: '::', port: 8443 }],
  ['listen-address', '[2001:DB8:0:0::1]:1', { ip: '2001:db8::1', port: 1 }],
  ['listen-address', '[::ffff:10.0.0.1]:1', { ip: '10.0.0.1', port: 1 }],
  ['listen-address', '127.0.0.1:0', { ip: '127.0.0.1', port: 0 }],
  ['endpoint', '10.0.0.5:443', { host: '10.0.0.5', port: 443 }],
  ['endpoint', 'Shop.Example:443', { host: 'shop.example', port: 443 }],
  ['endpoint', 'bücher.example:443', { host: 'xn--bcher-kva.example', port: 443 }],
  ['endpoint', '[2001:db8::5]:443', { host: '2001:db8::5', port: 443 }],
  ['host-name', 'shop.example', 'shop.example'],
  ['host-name', 'Shop.Example.', 'shop.example'],
  ['host-pattern', '*', '*'],
  ['host-pattern', '*.Bank.Example', '*.bank.example'],
  ['host-pattern', '*.bücher.example', '*.xn--bcher-kva.example'],
  ['host-pattern', '10.0.0.5', '10.0.0.5'],
  ['cidr', '10.1.0.0/24', '10.1.0.0/24'],
  ['cidr', '10.1.0.5', '10.1.0.5/32'],
  ['cidr', '0.0.0.0/0', '0.0.0.0/0'],
  ['cidr', '2001:DB8::/32', '2001:db8::/32'],
  ['cidr', '::1', '::1/128'],
  ['cidr', '::/0', '::/0'],
  ['duration', '100ms', 100],
  ['duration', '30s', 30_000],
  ['duration', '5m', 300_000],
  ['duration', '1h', 3_600_000],
  ['duration', '7d', 604_800_000],
  ['size', '1048576', 1_048_576],
  ['size', '100MB', 100_000_000],
  ['size', '64KiB', 65_536],
  [
    'proxy-url',
    'http://proxy.example:3128',
    { host: 'proxy.example', port: 3128, user: undefined, password: undefined },
  ],
  ['proxy-url', 'http://10.0.0.1/', { host: '10.0.0.1', port: 80, user: undefined, password: undefined }],
  ['proxy-url', 'http://u:p%40ss@[::1]:3128', { host: '::1', port: 3128, user: 'u', password: 'p@ss' }],
  ['proxy-url', 'http://u:100%@proxy.example:1', { host: 'proxy.example', port: 1, user: 'u', password: '100%' }],
  [
    'icap-url',
    'icap://127.0.0.1:1345/avscan?allow204=on',
    {
      host: '127.0.0.1',
      port: 1345,
      url: 'icap://127.0.0.1:1345/avscan?allow204=on',
      authority: '127.0.0.1:1345',
    },
  ],
  ['icap-url', 'icap://[::1]/', { host: '::1', port: 1344, url: 'icap://[::1]:1344/', authority: '[::1]:1344' }],
  ['relay-count', 'auto', 'auto'],
  ['relay-count', '64', 64],
  ['identifier', 'web-1', 'web-1'],
  ['password', 'correct horse', 'correct horse'],
];

const refused: readonly (readonly [FormatName, string])[] = [
  ['listen-address', '8080'],
  ['listen-address', ':8080'],
  ['listen-address', '127.0.0.1'],
  ['listen-address', '127.0.0.1:65536'],
  ['listen-address', '127.0.0.1:080808'],
  ['listen-address', '127.1:80'],
  ['listen-address', '[127.0.0.1]:80'],
  ['listen-address', '::1:8080'],
  ['listen-address', '[fe80::1%eth0]:80'],
  ['listen-address', 'localhost:8080'],
  ['endpoint', 'shop.example'],
  ['endpoint', 'shop.example:0'],
  ['endpoint', 'https://shop.example:443'],
  ['endpoint', 'user@shop.example:443'],
  ['endpoint', '*.example:443'],
  ['endpoint', '0x7f.1:443'],
  ['host-name', '10.0.0.5'],
  ['host-name', '-a.example'],
  ['host-name', `${'a'.repeat(64)}.example`],
  ['host-name', 'a b'],
  ['host-name', ''],
  ['host-pattern', '*bank.example'],
  ['host-pattern', 'www.*.example'],
  ['host-pattern', '*.*.example'],
  ['host-pattern', '**'],
  ['host-pattern', '*.'],
  ['host-pattern', 'https://shop.example'],
  ['host-pattern', '*.10.0.0.5'],
  ['cidr', '10.1.0.5/24'],
  ['cidr', '10.1.0.0/33'],
  ['cidr', '10.1.0.0/'],
  ['cidr', '10.1.0/24'],
  ['cidr', '2001:db8::1/32'],
  ['cidr', 'web-1'],
  ['duration', '30'],
  ['duration', '30 s'],
  ['duration', '0s'],
  ['duration', '8d'],
  ['duration', '-5s'],
  ['duration', '1toString'],
  ['size', '999'],
  ['size', '100Mb'],
  ['size', '2000GB'],
  ['proxy-url', 'https://proxy.example:3128'],
  ['proxy-url', 'proxy.example:3128'],
  ['proxy-url', 'http://proxy.example:3128/path'],
  ['proxy-url', 'http://proxy.example:0'],
  ['icap-url', 'http://127.0.0.1/avscan'],
  ['icap-url', 'icap://127.0.0.1:1344'],
  ['icap-url', 'icap://user@127.0.0.1:1344/avscan'],
  ['icap-url', 'icap://127.0.0.1:0/avscan'],
  ['icap-url', 'icap://127.0.0.1/av scan'],
  ['icap-url', 'icap://127.0.0.1/avscan\r\nX: y'],
  ['relay-count', '0'],
  ['relay-count', '65'],
  ['relay-count', 'all'],
  ['identifier', '-web'],
  ['identifier', 'web 1'],
  ['user', 'a:b'],
  ['password', ''],
  ['password', 'ü'.repeat(128)],
  ['reason', 'two\nlines'],
];

describe('formats', () => {
  test.each(accepted)('%s takes %s', (name, text, value) => {
    expect(formats[name].parse(text)).toEqual({ kind: 'value', value });
    expect(text).toMatch(new RegExp(formats[name].pattern, 'u'));
  });

  test.each(refused)('%s refuses "%s"', (name, text) => {
    expect(formats[name].parse(text).kind).toBe('wrong');
  });

  test('what cidr accepts, the data plane compiles, and means the same block', () => {
    const byte = fc.integer({ min: 0, max: 255 });
    const ipv4 = fc.tuple(byte, byte, byte, byte).map((bytes) => bytes.join('.'));
    fc.assert(
      fc.property(fc.oneof(ipv4, fc.ipV6()), fc.option(fc.integer({ min: 0, max: 129 })), (ip, prefix) => {
        const parsed = formats.cidr.parse(prefix === null ? ip : `${ip}/${prefix}`);
        if (parsed.kind === 'wrong') return;
        expect(compileCidrs([parsed.value])(ip)).toBe(true);
        expect(formats.cidr.parse(parsed.value)).toEqual(parsed);
      }),
    );
  });

  test('what host-pattern accepts, the data plane compiles', () => {
    const label = fc.stringMatching(/^[a-zA-Z0-9_*.-]{1,8}$/);
    fc.assert(
      fc.property(
        fc.oneof(
          label,
          fc.domain(),
          fc.domain().map((name) => `*.${name}`),
        ),
        (pattern) => {
          const parsed = formats['host-pattern'].parse(pattern);
          if (parsed.kind === 'value') expect(() => compileHostPatterns([parsed.value])).not.toThrow();
        },
      ),
    );
  });

  test('no format throws on any text, and what it accepts fits its pattern', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...(Object.keys(formats) as FormatName[])),
        fc.string({ unit: 'binary' }),
        (name, text) => {
          const parsed = formats[name].parse(text);
          if (parsed.kind === 'value') expect(text).toMatch(new RegExp(formats[name].pattern, 'u'));
        },
      ),
    );
  });

  test('a secret stands in no message', () => {
    for (const text of [
      'http://user:hunter2@',
      'ftp://user:hunter2@x',
      'http://user:hunter2@host/path?q',
      `hunter2${'\n'}`,
    ]) {
      for (const name of ['proxy-url', 'password'] as const) {
        const parsed = formats[name].parse(text);
        if (parsed.kind === 'wrong') expect(parsed.message).not.toContain('hunter2');
      }
    }
  });
});

test('quantities are written in the largest unit that fits, and read back', () => {
  expect([330_000, 30_000, 60_000, 86_400_000, 150].map(durationText)).toEqual(['330s', '30s', '1m', '1d', '150ms']);
  expect([1000, 1024, 100_000_000, 1500].map(sizeText)).toEqual(['1KB', '1KiB', '100MB', '1500B']);
  fc.assert(
    fc.property(fc.integer({ min: 100, max: 604_800_000 }), (ms) => {
      expect(formats.duration.parse(durationText(ms))).toEqual({ kind: 'value', value: ms });
    }),
  );
  fc.assert(
    fc.property(fc.integer({ min: 1000, max: 1_000_000_000_000 }), (bytes) => {
      expect(formats.size.parse(sizeText(bytes))).toEqual({ kind: 'value', value: bytes });
    }),
  );
});
