import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createSocks5Negotiation, type Socks5Outcome, socks5Reply, socks5ReplyFor } from '../../src/codec/socks5.ts';
import { sized8 } from './hello-builder.ts';

const bytes = (hex: string): Buffer => Buffer.from(hex.replaceAll(' ', ''), 'hex');
const named = (host: string | Buffer, port = '01bb'): Buffer =>
  Buffer.concat([bytes('05010003'), sized8(Buffer.from(host as string, 'latin1')), bytes(port)]);
const password = (user: string, secret: string): Buffer =>
  Buffer.concat([bytes('01'), sized8(Buffer.from(user)), sized8(Buffer.from(secret))]);
const knows = (user: string, secret: string): boolean => user === 'me' && secret === 'öpen';

interface Talk {
  readonly replies: string;
  readonly outcome: Socks5Outcome | undefined;
  readonly rest: string | undefined;
}

/** Sends the client's bytes in segments of this size, all at once by default. */
function talk(sent: Buffer, authenticate?: typeof knows, segmentBytes = Number.POSITIVE_INFINITY): Talk {
  const negotiation = createSocks5Negotiation(authenticate);
  const replies: Buffer[] = [];
  for (let at = 0; at < sent.length; ) {
    const segment = sent.subarray(at, at + segmentBytes);
    at += segment.length;
    const step = negotiation.receive(segment);
    replies.push(...step.replies);
    if (step.outcome === undefined) continue;
    const rest = Buffer.concat([step.rest ?? Buffer.alloc(0), sent.subarray(at)]);
    return { replies: Buffer.concat(replies).toString('hex'), outcome: step.outcome, rest: rest.toString('hex') };
  }
  return { replies: Buffer.concat(replies).toString('hex'), outcome: undefined, rest: undefined };
}

/** The talk, which must be the same in segments of any size. */
function steady(sent: Buffer, authenticate?: typeof knows): Talk {
  const whole = talk(sent, authenticate);
  for (const segmentBytes of [1, 2, 3, 7]) expect(talk(sent, authenticate, segmentBytes)).toEqual(whole);
  return whole;
}

describe('SOCKS5', () => {
  const greeting = bytes('05 01 00');
  it.each([
    ['IPv4', bytes('05010001 c0000201 01bb'), { host: '192.0.2.1', port: 443, ip: '192.0.2.1' }],
    [
      'IPv6',
      bytes('05010004 20010db8000000000000000000000001 0050'),
      { host: '2001:db8::1', port: 80, ip: '2001:db8::1' },
    ],
    [
      'IPv4-mapped IPv6',
      bytes('05010004 00000000000000000000ffffc0000201 0050'),
      { host: '192.0.2.1', port: 80, ip: '192.0.2.1' },
    ],
    ['a name', named('Shop.Example.'), { host: 'shop.example', port: 443 }],
    ['an address written as a name', named('192.0.2.1'), { host: '192.0.2.1', port: 443, ip: '192.0.2.1' }],
  ])('connects to %s, and hands over what follows', (_, request, destination) => {
    const { replies, outcome, rest } = steady(Buffer.concat([greeting, request, bytes('160301')]));
    expect(replies).toBe('0500');
    expect(outcome).toEqual({ kind: 'connect', destination });
    expect(rest).toBe('160301');
  });

  it('asks for a user name and password where they are demanded', () => {
    const { replies, outcome } = steady(
      Buffer.concat([bytes('05 02 00 02'), password('me', 'öpen'), named('shop.example')]),
      knows,
    );
    expect(replies).toBe('05020100');
    expect(outcome?.kind).toBe('connect');
  });

  it('takes any from a client that insists on them', () => {
    const { replies, outcome } = steady(Buffer.concat([bytes('05 01 02'), password('x', ''), named('shop.example')]));
    expect(replies).toBe('05020100');
    expect(outcome?.kind).toBe('connect');
  });

  it('refuses wrong ones, without saying them', () => {
    const { replies, outcome } = steady(
      Buffer.concat([bytes('050102'), password('me', 'hunter2'), named('a.example')]),
      knows,
    );
    expect(replies).toBe('05020101');
    expect(outcome).toMatchObject({ kind: 'failed', code: 'CLIENT_PROXY_AUTH_REQUIRED' });
    expect(JSON.stringify(outcome)).not.toContain('hunter2');
  });

  const invalid = 'CLIENT_PROXY_REQUEST_INVALID';
  it.each([
    ['SOCKS 4', bytes('0401005000'), undefined, '', invalid],
    ['no method in common', bytes('05 01 01'), undefined, '05ff', invalid],
    ['no methods', bytes('05 00'), undefined, '05ff', invalid],
    ['no password method where one is demanded', bytes('05 01 00'), knows, '05ff', 'CLIENT_PROXY_AUTH_REQUIRED'],
    ['a wrong version of the password message', bytes('050102 05'), knows, '0502', invalid],
    ['BIND', bytes('050100 05020001 c0000201 01bb'), undefined, '050005070001', invalid],
    ['UDP ASSOCIATE', bytes('050100 05030001 c0000201 01bb'), undefined, '050005070001', invalid],
    ['an unknown address type', bytes('050100 05010002 c0000201 01bb'), undefined, '050005080001', invalid],
    ['a request of version 4', bytes('050100 04010001'), undefined, '050005010001', invalid],
    ['a reserved byte', bytes('050100 05010101 c0000201 01bb'), undefined, '050005010001', invalid],
    ['port 0', Buffer.concat([greeting, named('shop.example', '0000')]), undefined, '050005010001', invalid],
    ['an empty name', Buffer.concat([greeting, named('')]), undefined, '050005010001', invalid],
    ['NUL in a name', Buffer.concat([greeting, named('shop\0.example')]), undefined, '050005010001', invalid],
    ['an odd address as a name', Buffer.concat([greeting, named('127.1')]), undefined, '050005010001', invalid],
    [
      'UTF-8 in a name',
      Buffer.concat([greeting, named(Buffer.from('bücher.example'))]),
      undefined,
      '050005010001',
      invalid,
    ],
  ])('refuses %s', (_, sent, authenticate, reply, code) => {
    const { replies, outcome } = talk(sent, authenticate);
    expect(replies.startsWith(reply)).toBe(true);
    expect(outcome).toMatchObject({ kind: 'failed', code });
    const split = talk(sent, authenticate, 1);
    expect({ replies: split.replies, outcome: split.outcome }).toEqual({ replies, outcome });
  });

  it('passes bytes on after its end', () => {
    const negotiation = createSocks5Negotiation();
    negotiation.receive(Buffer.concat([greeting, named('shop.example')]));
    expect(negotiation.receive(Buffer.from('x'))).toEqual({ replies: [], rest: Buffer.from('x') });
  });

  it('never throws, keeps no more than one message, and loses no byte of the tunnel', () => {
    const start = fc.constantFrom(bytes('05'), greeting, Buffer.concat([greeting, bytes('050100')]), bytes('05010201'));
    fc.assert(
      fc.property(
        start,
        fc.uint8Array({ maxLength: 600 }),
        fc.integer({ min: 1, max: 40 }),
        (head, tail, segmentBytes) => {
          const sent = Buffer.concat([head, tail]);
          const split = talk(sent, undefined, segmentBytes);
          const whole = talk(sent);
          expect(split.outcome).toEqual(whole.outcome);
          expect(split.replies).toEqual(whole.replies);
          if (whole.outcome?.kind === 'connect') expect(split.rest).toEqual(whole.rest);
        },
      ),
      { numRuns: 1_000 },
    );
  });
});

describe('a SOCKS5 reply', () => {
  it('carries the bound address of either family', () => {
    expect(socks5Reply(0, { ip: '192.0.2.7', port: 0x1234 }).toString('hex')).toBe('05000001c00002071234');
    expect(socks5Reply(0, { ip: '2001:db8::7', port: 1 }).toString('hex')).toBe(
      '0500000420010db80000000000000000000000070001',
    );
    expect(socks5Reply(1).toString('hex')).toBe('05010001000000000000');
  });

  it.each([
    [undefined, 0],
    ['ORIGIN_REFUSED', 5],
    ['ORIGIN_UNREACHABLE', 3],
    ['ORIGIN_NAME_UNRESOLVED', 4],
    ['ORIGIN_CONNECT_TIMEOUT', 6],
    ['POLICY_REFUSED', 2],
    ['POLICY_LOOP', 2],
    ['POLICY_ADMIN_ADDRESS', 2],
    ['GATEWAY_OVERLOADED', 1],
    ['ORIGIN_CERT_EXPIRED', 1],
  ] as const)('to %s has code %i', (code, expected) => {
    expect(socks5ReplyFor(code)[1]).toBe(expected);
  });
});
