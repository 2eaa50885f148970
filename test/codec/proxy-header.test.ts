import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalIp } from '../../src/codec/ip-address.ts';
import { encodeProxyHeader, type ProxyHeaderParse, parseProxyHeader } from '../../src/codec/proxy-header.ts';
import { limits } from '../../src/core/limits.ts';

const signature = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');
const v2 = (hex: string): Buffer => Buffer.concat([signature, Buffer.from(hex.replaceAll(' ', ''), 'hex')]);
const source4 = { ip: '192.0.2.1', port: 56_324 };
const destination4 = { ip: '198.51.100.2', port: 443 };
const addresses4 = 'c0000201 c6336402 dc04 01bb';

/** The verdict, which must be the same over segments of one byte and with the client's own bytes behind. */
function parsed(header: Buffer): ProxyHeaderParse {
  const whole = parseProxyHeader(header);
  for (let length = 0; length < header.length; length++) {
    const prefix = parseProxyHeader(header.subarray(0, length));
    if (prefix.kind !== 'partial') expect(prefix).toEqual(whole);
  }
  if (whole.kind === 'complete') {
    expect(whole.consumed).toBe(header.length);
    expect(parseProxyHeader(Buffer.concat([header, Buffer.from('GET / HTTP/1.1\r\n')]))).toEqual(whole);
  }
  return whole;
}

const named = (source: object, destination: object) => ({ kind: 'complete', local: false, source, destination });
const nobody = { kind: 'complete', local: true, source: undefined, destination: undefined };

describe('a PROXY protocol header', () => {
  it.each([
    ['version 1, IPv4', Buffer.from('PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n'), named(source4, destination4)],
    [
      'version 1, IPv6',
      Buffer.from('PROXY TCP6 2001:DB8::1 ::ffff:198.51.100.2 0 65535\r\n'),
      named({ ip: '2001:db8::1', port: 0 }, { ip: '198.51.100.2', port: 65_535 }),
    ],
    ['version 1, unknown', Buffer.from('PROXY UNKNOWN\r\n'), nobody],
    ['version 1, unknown with anything', Buffer.from('PROXY UNKNOWN ffff:f...f:ffff x\r\n'), nobody],
    ['version 2, IPv4', v2(`21 11 000c ${addresses4}`), named(source4, destination4)],
    [
      'version 2, IPv6',
      v2('21 21 0024 20010db8000000000000000000000001 00000000000000000000ffffc6336402 dc04 01bb'),
      named({ ip: '2001:db8::1', port: 56_324 }, destination4),
    ],
    ['version 2 with TLVs', v2(`21 11 0013 ${addresses4} 040001aa 010000`), named(source4, destination4)],
    ['version 2, LOCAL', v2('20 00 0000'), nobody],
    ['version 2, LOCAL with addresses to be ignored', v2(`20 11 000c ${addresses4}`), nobody],
    ['version 2, UNSPEC with TLVs', v2('21 00 0003 040000'), nobody],
    ['version 2, Unix sockets', v2(`21 31 00d8 ${'00'.repeat(216)}`), nobody],
  ])('of %s is read', (_, header, expected) => {
    expect(parsed(header)).toMatchObject(expected);
  });

  it.each([
    ['TCP4 with IPv6 addresses', Buffer.from('PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n')],
    ['TCP6 with IPv4 addresses', Buffer.from('PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n')],
    ['an odd address', Buffer.from('PROXY TCP4 192.0.2.01 192.0.2.2 1 2\r\n')],
    ['a name for an address', Buffer.from('PROXY TCP4 shop.example 192.0.2.2 1 2\r\n')],
    ['a port beyond 65535', Buffer.from('PROXY TCP4 192.0.2.1 192.0.2.2 65536 2\r\n')],
    ['a port with a leading zero', Buffer.from('PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n')],
    ['a missing port', Buffer.from('PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n')],
    ['one field more', Buffer.from('PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n')],
    ['two spaces', Buffer.from('PROXY TCP4  192.0.2.1 192.0.2.2 1 2\r\n')],
    ['an unknown family', Buffer.from('PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n')],
    ['a bare line feed', Buffer.from('PROXY TCP4 192.0.2.1 192.0.2.2 1 2\nGET / HTTP/1.1\r\n')],
    ['no end within 107 bytes', Buffer.from(`PROXY UNKNOWN ${'x'.repeat(120)}\r\n`)],
    ['version 3', v2(`31 11 000c ${addresses4}`)],
    ['an unknown command', v2(`22 11 000c ${addresses4}`)],
    ['an unknown family of version 2', v2(`21 41 000c ${addresses4}`)],
    ['datagrams', v2(`21 12 000c ${addresses4}`)],
    ['a length too short for its family', v2('21 11 0008 c0000201 c6336402')],
    ['a TLV beyond the end', v2(`21 11 0010 ${addresses4} 040002aa`)],
    ['half a TLV', v2(`21 11 000e ${addresses4} 0400`)],
    ['more bytes than the limit', v2(`21 11 ffff ${addresses4}`)],
  ])('with %s is malformed', (_, header) => {
    expect(parsed(header)).toMatchObject({ kind: 'malformed' });
  });

  it.each(['GET / HTTP/1.1\r\n', '\x16\x03\x01', 'PROPFIND / HTTP/1.1', 'PROXZ', '\r\n\r\nG', 'PROXY\t'])(
    'is absent before %j',
    (text) => {
      expect(parsed(Buffer.from(text, 'latin1')).kind).toBe('absent');
    },
  );

  it('may be as long as the limit', () => {
    const tlv = limits.proxyHeaderBytes - 16 - 12 - 3;
    const header = Buffer.concat([
      v2(`21 11 ${(12 + 3 + tlv).toString(16).padStart(4, '0')} ${addresses4} ee ${tlv.toString(16).padStart(4, '0')}`),
      Buffer.alloc(tlv),
    ]);
    expect(header.length).toBe(limits.proxyHeaderBytes);
    expect(parsed(header)).toMatchObject(named(source4, destination4));
  });

  it('never makes the parser throw', () => {
    const mutated = fc
      .tuple(
        fc.constantFrom(v2(`21 11 0013 ${addresses4} 040001aa 010000`), encodeProxyHeader('v1', source4, destination4)),
        fc.nat(),
        fc.nat(255),
      )
      .map(([header, at, value]) => {
        const copy = Buffer.from(header);
        copy[at % copy.length] = value;
        return copy;
      });
    const headed = fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.concat([signature, bytes]));
    const any = fc.uint8Array({ maxLength: 150 }).map((bytes) => Buffer.from(bytes));
    fc.assert(
      fc.property(fc.oneof(mutated, headed, any), (bytes) => void parseProxyHeader(bytes)),
      { numRuns: 3_000 },
    );
  });
});

describe('encodeProxyHeader', () => {
  it('writes what other implementations write', () => {
    expect(encodeProxyHeader('v1', source4, destination4).toString('latin1')).toBe(
      'PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n',
    );
    expect(encodeProxyHeader('v2', source4, destination4)).toEqual(v2(`21 11 000c ${addresses4}`));
  });

  it('maps IPv4 into IPv6 where the families differ', () => {
    const source = { ip: '2001:db8::1', port: 1 };
    expect(encodeProxyHeader('v1', source, destination4).toString('latin1')).toBe(
      'PROXY TCP6 2001:db8::1 ::ffff:c633:6402 1 443\r\n',
    );
    expect(parsed(encodeProxyHeader('v2', source, destination4))).toMatchObject(named(source, destination4));
  });

  it('names no one where an address has no form on the wire', () => {
    const linkLocal = { ip: 'fe80::1%eth0', port: 1 };
    expect(encodeProxyHeader('v1', linkLocal, destination4).toString('latin1')).toBe('PROXY UNKNOWN\r\n');
    expect(parsed(encodeProxyHeader('v2', linkLocal, destination4))).toMatchObject(nobody);
  });

  it('is undone by parsing, for any two addresses', () => {
    const address = fc.record({ ip: fc.oneof(fc.ipV4(), fc.ipV6()), port: fc.integer({ min: 0, max: 65_535 }) });
    fc.assert(
      fc.property(fc.constantFrom('v1', 'v2'), address, address, (version, source, destination) => {
        const canonical = ({ ip, port }: { ip: string; port: number }) => ({ ip: canonicalIp(ip), port });
        expect(parseProxyHeader(encodeProxyHeader(version, source, destination))).toMatchObject(
          named(canonical(source), canonical(destination)),
        );
      }),
    );
  });
});
