import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isCanonicalHostName, presentedHostName, wildcardOver } from '../../src/pki/host-name.ts';
import { ipOctets, ipText } from '../../src/pki/ip-address.ts';
import { isPlatformSuffix, isRegistrySuffix } from '../../src/pki/public-suffix.ts';

const label = fc.stringMatching(/^[a-z0-9_][a-z0-9_-]{0,20}$/);
const name = fc
  .tuple(fc.array(label, { minLength: 1, maxLength: 5 }), fc.stringMatching(/^[a-z][a-z0-9]{1,10}$/))
  .map(([labels, top]) => [...labels, top].join('.'));

describe('host names', () => {
  test.each([
    'example.com',
    'a.b.c.example',
    'localhost',
    'xn--bcher-kva.example',
    'under_score.example',
    '3com.com',
    `${'a'.repeat(63)}.com`,
  ])('%s is canonical', (host) => {
    expect(isCanonicalHostName(host)).toBe(true);
  });

  test.each([
    '',
    '.',
    '.example.com',
    'example.com.',
    'example..com',
    'Example.com',
    'exämple.com',
    'example\u3002com',
    'example.com\0.evil.com',
    'exam ple.com',
    'a,DNS:b.com',
    '*.example.com',
    '1.2.3.4',
    'a.b.7',
    '-a.com',
    `${'a'.repeat(64)}.com`,
    `${'a.'.repeat(127)}com`,
    '[::1]',
    '::1',
  ])('%j is not canonical', (host) => {
    expect(isCanonicalHostName(host)).toBe(false);
  });

  test('a canonical name is presented as itself, whatever its case in the certificate', () => {
    fc.assert(
      fc.property(name, (host) => {
        fc.pre(isCanonicalHostName(host));
        expect(presentedHostName(Buffer.from(host.toUpperCase()))).toBe(host);
        expect(presentedHostName(Buffer.from(`*.a.${host}`))).toBe(`*.a.${host}`);
      }),
    );
  });

  test('whatever bytes a certificate holds, what is presented is canonical or one whole wildcard over it', () => {
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 40 }), fc.stringMatching(/^[*.a-z\0 ,A-Z-]{0,20}$/)), (raw) => {
        const presented = presentedHostName(Buffer.from(raw as string));
        if (presented === undefined) return;
        const base = presented.startsWith('*.') ? presented.slice(2) : presented;
        expect(isCanonicalHostName(base)).toBe(true);
        if (base !== presented) expect(base).toContain('.');
      }),
    );
  });

  test.each([
    '*',
    '*.com',
    '*.co.uk',
    '*.com.au',
    'w*.example.com',
    '*w.example.com',
    'a.*.example.com',
    '*.*.example.com',
    '.example.com',
    '*.',
  ])('the pattern %s covers nothing', (pattern) => {
    expect(presentedHostName(Buffer.from(pattern))).toBeUndefined();
  });

  test('registries are told from what is registered, and from platforms', () => {
    expect(['com', 'uk', 'co.uk', 'com.br', 'ac.jp', 'gov.in', 'localhost'].map(isRegistrySuffix)).not.toContain(false);
    const ordinary = ['example.com', 'example.uk', 'a.co.uk', 'web.de', 'me.com', 'corp.internal'];
    expect(ordinary.map(isRegistrySuffix)).not.toContain(true);
    expect([...ordinary, 'com', 'co.uk', 'blob.core.windows.net'].map(isPlatformSuffix)).not.toContain(true);
    expect(['github.io', 's3.amazonaws.com', 'netlify.app'].map(isPlatformSuffix)).not.toContain(false);
  });

  test('a wildcard stands for exactly the first label', () => {
    expect(wildcardOver('a.b.example.com')).toBe('*.b.example.com');
    expect(wildcardOver('localhost')).toBeUndefined();
  });
});

describe('addresses', () => {
  test.each([
    ['1.2.3.4', '1.2.3.4'],
    ['::', '::'],
    ['::1', '::1'],
    ['1::', '1::'],
    ['2001:DB8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['::ffff:1.2.3.4', '::ffff:102:304'],
    ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
    ['1:2:3:4:5:6:7:8', '1:2:3:4:5:6:7:8'],
  ])('%s is %s', (text, canonical) => {
    expect(ipText(ipOctets(text) ?? Buffer.alloc(0))).toBe(canonical);
  });

  test.each(['', 'example.com', '1.2.3', '01.2.3.4', '1.2.3.4.5', 'fe80::1%eth0', '[::1]', '::g'])(
    '%j is none',
    (text) => {
      expect(ipOctets(text)).toBeUndefined();
    },
  );

  test('octets of any other number are none', () => {
    expect([0, 3, 5, 8, 15, 17].map((length) => ipText(Buffer.alloc(length)))).toEqual(new Array(6).fill(undefined));
  });

  test('text and octets are the same thing', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.uint8Array({ minLength: 4, maxLength: 4 }), fc.uint8Array({ minLength: 16, maxLength: 16 })),
        (octets) => {
          expect(ipOctets(ipText(Buffer.from(octets)) ?? '')).toEqual(Buffer.from(octets));
        },
      ),
    );
  });
});
