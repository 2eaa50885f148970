import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseClientHello } from '../../src/codec/client-hello.ts';
import { parseDisposition, percentDecoded } from '../../src/codec/disposition.ts';
import { recogniseOpening } from '../../src/codec/first-bytes.ts';
import { FormFieldReader } from '../../src/codec/form-fields.ts';
import { canonicalHost } from '../../src/codec/host.ts';
import { parseAuthority } from '../../src/codec/http1-authority.ts';
import { parseRequestHead, parseResponseHead } from '../../src/codec/http1-head.ts';
import { changeHead } from '../../src/codec/http1-head-changes.ts';
import { parseProxyRequest } from '../../src/codec/http1-proxy-request.ts';
import { rewriteHead } from '../../src/codec/http1-rewrite.ts';
import { parseTarget } from '../../src/codec/http1-target.ts';
import { parseProxyHeader } from '../../src/codec/proxy-header.ts';
import { recogniseBanner } from '../../src/codec/server-banner.ts';
import { createSocks5Negotiation } from '../../src/codec/socks5.ts';
import { TextReader, textDeclaration } from '../../src/codec/text-encoding.ts';
import { clientHelloBytes } from '../support/client-hello-bytes.ts';
import { mutated } from '../support/mutated.ts';

const runs = { numRuns: 3_000 };
const request = 'POST /a?b=c HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\nX: y, z\r\n\r\n';
const absolute = 'GET http://a.example:80/ HTTP/1.1\r\nHost: a.example\r\nProxy-Authorization: Basic YTpi\r\n\r\n';
const response = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\nContent-Type: text/html\r\n\r\n';
const upgrade =
  'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n\r\n';
const connect = 'CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n';
const headers: readonly string[] = [request, absolute, response, upgrade, connect];

/** Takes bytes of a peer and says what it makes of them; whatever they are, it returns. */
type Reading = (bytes: Buffer) => unknown;
const text = (bytes: Buffer): string => bytes.toString('latin1');

/** Readers that never throw, with bytes that are right. */
const readers: readonly (readonly [name: string, seeds: readonly (string | Buffer)[], reading: Reading])[] = [
  ['a request head', headers, (bytes) => parseRequestHead(bytes, 0, bytes.length)],
  ['a response head', headers, (bytes) => parseResponseHead(bytes, 0, bytes.length, 'GET')],
  ['a request to a proxy', [absolute, connect], parseProxyRequest],
  ['a ClientHello', [await clientHelloBytes()], parseClientHello],
  ['an opening', [...headers, await clientHelloBytes(), 'SSH-2.0-x\r\n', '\x03\0\0\x13'], recogniseOpening],
  ['a greeting', ['220 mail ESMTP\r\n', 'SSH-2.0-x\r\n', '+OK\r\n', '* OK IMAP\r\n', 'RFB 003.008\n'], recogniseBanner],
  ['a PROXY header', ['PROXY TCP4 1.2.3.4 5.6.7.8 9 10\r\n', proxyV2()], parseProxyHeader],
  ['SOCKS5', [Buffer.from('050100' + '050100010102030400500300', 'hex')], (bytes) => socks5(bytes)],
  ['an authority', ['a.example:443', '[2001:db8::1]:80', '1.2.3.4'], (bytes) => parseAuthority(text(bytes))],
  ['a host', ['a.example', 'xn--nme-hoa.example', '[::1]'], (bytes) => canonicalHost(text(bytes))],
  ['a target', ['/a/b', 'http://a.example/', '*', 'a:443'], (bytes) => parseTarget('GET', text(bytes))],
  ['a disposition', [`form-data; name="a"; filename*=UTF-8''b%20c`], (bytes) => parseDisposition(text(bytes))],
  ['percent escapes', ['a%20b%zz%'], (bytes) => percentDecoded(text(bytes))],
  ['a content type', ['text/html; charset=utf-16'], (bytes) => textDeclaration([['Content-Type', text(bytes)]])],
];

describe('bytes of a peer, near to right ones', () => {
  it.each(readers)('as %s are read or refused, never thrown on', (_name, seeds, reading) => {
    fc.assert(
      fc.property(mutated(...seeds), (bytes) => {
        reading(bytes);
      }),
      runs,
    );
  });

  it.each(readers)('as %s read the same twice', (_name, seeds, reading) => {
    fc.assert(
      fc.property(mutated(...seeds), (bytes) => {
        expect(reading(Buffer.from(bytes))).toEqual(reading(bytes));
      }),
      { numRuns: 500 },
    );
  });
});

describe('a head that is rewritten', () => {
  it('is read again as the same request, without what was dropped', () => {
    const rewrites = fc.record({ asProxy: fc.boolean(), withoutHttp2Offer: fc.boolean() });
    fc.assert(
      fc.property(mutated(absolute, upgrade, request), rewrites, (bytes, rewrite) => {
        const parsed = parseRequestHead(bytes, 0, bytes.length);
        if (parsed.kind !== 'parsed' || (rewrite.asProxy && parsed.head.method === 'CONNECT')) return;
        const head = rewriteHead(bytes.subarray(0, parsed.length), parsed, rewrite);
        const again = parseRequestHead(head, 0, head.length);
        expect(again.kind === 'parsed' && again.length).toBe(head.length);
        if (again.kind !== 'parsed') return;
        expect([again.head.method, again.head.framing]).toEqual([parsed.head.method, parsed.head.framing]);
        expect(again.head.headers.some(([name]) => rewrite.asProxy && /^proxy-auth/i.test(name))).toBe(false);
      }),
      runs,
    );
  });
});

describe('a head that a rule changes', () => {
  it('lacks what was removed and has what was set, and is read as one head', () => {
    const changes = { remove: ['x', 'connection'], set: [['X-Set', 'yes'] as const] };
    fc.assert(
      fc.property(mutated(request, response, upgrade), (bytes) => {
        const parsed = parseRequestHead(bytes, 0, bytes.length);
        if (parsed.kind !== 'parsed') return;
        const head = changeHead(bytes.subarray(0, parsed.length), changes);
        const text = head.toString('latin1').toLowerCase();
        expect(text).toContain('x-set: yes\r\n');
        expect(text).not.toMatch(/\n(?:x|connection):/);
        expect(text.indexOf('\r\n\r\n')).toBe(text.length - 4);
      }),
      runs,
    );
  });
});

describe('text in any encoding', () => {
  const label = fc.constantFrom(undefined, 'windows-1252', 'shift_jis', 'gb18030', 'utf-16le', 'utf-16be');
  const body = mutated(
    `${'ascii '.repeat(60)}\0<\0a`,
    'short\0<',
    '\xff\xfea\0b\0',
    '\xfe\xff\0a',
    '\xef\xbb\xbfabc',
    'plain text',
    '\x82\xa0\x82\xa2',
  );

  it('reads the same in whatever pieces it comes', () => {
    fc.assert(
      fc.property(label, body, fc.nat(20), (encoding, bytes, cut) => {
        const read = (...pieces: readonly Buffer[]): string => {
          const reader = new TextReader(encoding);
          return Buffer.concat([...pieces.map((piece) => reader.push(piece)), reader.end()]).toString('hex');
        };
        expect(read(bytes.subarray(0, cut), bytes.subarray(cut))).toBe(read(bytes));
      }),
      runs,
    );
  });
});

describe('a form', () => {
  it('has the same fields in whatever pieces it comes', () => {
    fc.assert(
      fc.property(mutated('a=b&c=d%20e&f=&=g&h'), fc.nat(20), (bytes, cut) => {
        const read = (...pieces: readonly Buffer[]): readonly string[] => {
          const fields: string[] = [];
          const reader = new FormFieldReader((name, value) => fields.push(`${name}=${value}`));
          for (const piece of pieces) reader.push(piece);
          reader.end();
          return fields;
        };
        expect(read(bytes.subarray(0, cut), bytes.subarray(cut))).toEqual(read(bytes));
      }),
      runs,
    );
  });
});

function socks5(bytes: Buffer): unknown {
  return createSocks5Negotiation(() => true).receive(bytes);
}

function proxyV2(): Buffer {
  return Buffer.from('0d0a0d0a000d0a515549540a' + '2111000c' + '0102030405060708' + '0009000a', 'hex');
}
