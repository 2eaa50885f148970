import { expect, test } from 'vitest';
import { createOpaqueRelay } from '../../../src/flow/relay/opaque.ts';
import { RecordingWire } from './recording.ts';

function open() {
  const wire = new RecordingWire();
  return { wire, relay: createOpaqueRelay({ wire }) };
}

test('an opaque relay passes the received bytes themselves', () => {
  const { wire, relay } = open();
  const bytes = Buffer.from('ping');
  relay.receive('client', bytes);
  relay.receive('origin', Buffer.from('pong'));
  expect(wire.viewsTo('origin')[0]).toBe(bytes);
  expect(wire.to('client')).toBe('pong');
});

test('each direction ends by itself, and the flow with the second', () => {
  const { wire, relay } = open();
  relay.end('client', true);
  expect(wire.ended).toEqual(['origin']);
  relay.receive('origin', Buffer.from('still here'));
  relay.end('origin', true);
  expect(wire.to('client')).toBe('still here');
  expect(wire.ending).toBe('close');
});

test.each([
  ['client', 'CLIENT_GONE'],
  ['origin', 'ORIGIN_GONE'],
] as const)('a %s that breaks off is seen to break off', (side, code) => {
  const { wire, relay } = open();
  relay.end(side, false);
  expect(wire.ending).toBe(`abort ${code}`);
});

test('nothing is sent after an end from outside', () => {
  const { wire, relay } = open();
  relay.cut('GATEWAY_SHUTTING_DOWN', '');
  relay.receive('client', Buffer.from('late'));
  relay.end('client', true);
  expect(wire.to('origin')).toBe('');
  expect(wire.ended).toEqual([]);
});
