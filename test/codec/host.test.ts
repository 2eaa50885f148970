import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalHost, canonicalHostPattern, compileHostPatterns, matchesHostPattern } from '../../src/codec/host.ts';

describe('canonicalHost', () => {
  it.each([
    ['Shop.Example', 'shop.example'],
    ['shop.example.', 'shop.example'],
    ['localhost', 'localhost'],
    ['_srv.my_host.example', '_srv.my_host.example'],
    ['192.0.2.1', '192.0.2.1'],
    ['[2001:DB8::1]', '2001:db8::1'],
    ['2001:DB8::0:1', '2001:db8::1'],
    ['[::ffff:192.0.2.1]', '192.0.2.1'],
    ['::ffff:c000:201', '192.0.2.1'],
    ['1.2.3.in-addr.arpa', '1.2.3.in-addr.arpa'],
    ['0x7f.example', '0x7f.example'],
  ])('of %s is %s', (host, canonical) => {
    expect(canonicalHost(host)).toBe(canonical);
  });

  it.each([
    '0x7f.1',
    '127.1',
    '2130706433',
    '0177.0.0.1',
    '0x7f000001',
    '127.0.0.1.',
    '1.2.3.4.5',
    'shop.example.0',
    '[127.0.0.1]',
    '[shop.example]',
    '[::1',
    '::1]',
    '[::1]:443',
    '[fe80::1%25eth0]',
    'fe80::1%eth0',
    '',
    '.',
    'a..b',
    'shop.example:443',
    'user@shop.example',
    'shop.example/',
    'shop\0.example',
    'bücher.example',
    '１２７.0.0.1',
    'shop。example',
    `${'a'.repeat(64)}.example`,
    `${'a.'.repeat(127)}ab`,
  ])('of %j is none', (host) => {
    expect(canonicalHost(host)).toBeUndefined();
  });

  it('never throws, is its own canonical form, and is never read as another address by a URL parser', () => {
    const nearly = fc.string({ unit: fc.constantFrom(...'0123456789abcxf.:-_[]%'), maxLength: 24 });
    fc.assert(
      fc.property(fc.oneof(fc.string(), nearly, fc.domain(), fc.ipV4Extended()), (text) => {
        const host = canonicalHost(text);
        if (host === undefined) return;
        expect(canonicalHost(host)).toBe(host);
        const written = host.includes(':') ? `[${host}]` : host;
        const read = URL.parse(`http://${written}/`)?.hostname;
        // Null where the URL parser refuses an A-label that is no punycode.
        expect([written, undefined]).toContain(read);
      }),
      { numRuns: 5_000 },
    );
  });
});

describe('host patterns', () => {
  it.each([
    ['example.com', 'example.com', true],
    ['example.com', 'www.example.com', false],
    ['*.example.com', 'www.example.com', true],
    ['*.example.com', 'a.b.c.example.com', true],
    ['*.example.com', 'example.com', false],
    ['*.example.com', 'notexample.com', false],
    ['*.example.com', '.example.com', false],
    ['*.example.com', 'example.com.evil.test', false],
    ['*', 'anything.test', true],
    ['*', '192.0.2.1', true],
    ['192.0.2.1', '192.0.2.1', true],
    ['2001:db8::1', '2001:db8::1', true],
    ['*.com', 'example.com', true],
  ])('%s covers %s: %s', (pattern, host, covers) => {
    expect(matchesHostPattern(pattern, host)).toBe(covers);
    expect(compileHostPatterns([pattern])(host)).toBe(covers);
    expect(compileHostPatterns(['other.test', '*.other.test', pattern])(host)).toBe(covers);
  });

  it.each([
    ['Example.COM.', 'example.com'],
    ['*.Bank.Example', '*.bank.example'],
    ['bücher.example', 'xn--bcher-kva.example'],
    ['*.bücher.example', '*.xn--bcher-kva.example'],
    ['[2001:DB8::1]', '2001:db8::1'],
  ])('%s is written canonically as %s', (pattern, canonical) => {
    expect(canonicalHostPattern(pattern)).toBe(canonical);
  });

  it.each(['', '*.', '**', '*example.com', 'www.*.com', '*.*.com', '*.192.0.2.1', '.example.com', 'a b', '*.1', 'é\0'])(
    '%j is refused, also by compiling',
    (pattern) => {
      expect(canonicalHostPattern(pattern)).toBeUndefined();
      expect(() => compileHostPatterns([pattern])).toThrow(RangeError);
    },
  );

  it('compiled, say what each says alone', () => {
    const label = fc.constantFrom('a', 'b', 'com', 'example');
    const host = fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => labels.join('.'));
    const pattern = fc.oneof(
      host,
      host.map((name) => `*.${name}`),
    );
    fc.assert(
      fc.property(fc.array(pattern, { maxLength: 6 }), host, (patterns, name) => {
        expect(compileHostPatterns(patterns)(name)).toBe(patterns.some((one) => matchesHostPattern(one, name)));
      }),
    );
  });

  it('cost the same however many there are', () => {
    const many = Array.from({ length: 100_000 }, (_, index) => `*.site-${index}.example`);
    const covers = compileHostPatterns(many);
    const start = performance.now();
    for (let round = 0; round < 10_000; round++) covers('deep.www.site-99999.example');
    expect(performance.now() - start).toBeLessThan(1_000);
    expect(covers('www.site-99999.example')).toBe(true);
  });
});
