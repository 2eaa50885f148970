import { describe, expect, it } from 'vitest';
import { createOpaqueRelay } from '../../../src/flow/relay/opaque.ts';
import { createSniffingRelay } from '../../../src/flow/relay/sniffing.ts';
import { RecordingWire } from './recording.ts';

function open(refuseOpaque = false) {
  const wire = new RecordingWire();
  const chosen: string[] = [];
  const relay = (name: string) => {
    chosen.push(name);
    return createOpaqueRelay({ wire });
  };
  const sniffing = createSniffingRelay({
    wire,
    http: () => relay('http'),
    greeted: (name) => (name === 'smtp' ? relay('mail relay') : undefined),
    opaque: relay,
    refuseOpaque,
  });
  const say = (text: string) => sniffing.receive('client', Buffer.from(text, 'latin1'));
  const answer = (text: string) => sniffing.receive('origin', Buffer.from(text, 'latin1'));
  return { wire, chosen, sniffing, say, answer };
}

describe('the sniffing relay', () => {
  it('chooses HTTP by its first bytes, however they are cut', () => {
    const { wire, chosen, say } = open();
    for (const byte of 'GET / HTTP/1.1\r\n') say(byte);
    expect(chosen).toEqual(['http']);
    expect(wire.to('origin')).toBe('GET / HTTP/1.1\r\n');
  });

  it('keeps what each side has said apart when the origin speaks into a beginning of the client', () => {
    const { wire, chosen, say, answer } = open();
    say('EH');
    answer('220 mail.example ESMTP\r\n');
    say('LO me\r\n');
    expect(chosen).toEqual(['mail relay']);
    expect(wire.to('origin')).toBe('EHLO me\r\n');
    expect(wire.to('client')).toBe('220 mail.example ESMTP\r\n');
  });

  it('waits for the whole first line of a greeting, however it is cut', () => {
    const { wire, chosen, answer } = open();
    const greeting = '220 mail.example ESMTP\r\n';
    for (const byte of greeting.slice(0, -1)) answer(byte);
    expect(chosen).toEqual([]);
    answer('\n');
    expect(chosen).toEqual(['mail relay']);
    expect(wire.to('client')).toBe(greeting);
  });

  it('lets no HTTP/2 pass that was not agreed on', () => {
    const { wire, chosen, say } = open();
    say('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
    expect(wire.ending).toBe('abort CLIENT_HTTP_VERSION');
    expect(chosen).toEqual([]);
    expect(wire.to('origin')).toBe('');
  });

  it('refuses what is not HTTP where policy says so, whoever speaks first', () => {
    const client = open(true);
    client.say('SSH-2.0-x\r\n');
    expect(client.wire.ending).toBe('abort CLIENT_NOT_TLS');
    const origin = open(true);
    origin.answer('220 ready\r\n');
    expect(origin.wire.ending).toBe('abort CLIENT_NOT_TLS');
    expect(origin.wire.to('client')).toBe('');
  });

  it('has nothing to refuse of a connection on which nobody spoke', () => {
    const { wire, sniffing } = open(true);
    sniffing.end('client', true);
    expect(wire.ending).toBe('close');
  });

  it('lets an origin greet a client that has ended already', () => {
    const { wire, sniffing, answer } = open();
    sniffing.end('client', true);
    answer('* OK ready\r\n');
    expect(wire.to('client')).toBe('* OK ready\r\n');
  });
});
