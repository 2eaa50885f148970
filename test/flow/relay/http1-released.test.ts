import { expect, test } from 'vitest';
import { ReleasedBytes } from '../../../src/flow/relay/http1-released.ts';
import { RecordingWire } from './recording.ts';

test('what was held in very many pieces is let go all the same', () => {
  const wire = new RecordingWire();
  const hoards = (): void => {};
  const released = new ReleasedBytes('client', { wire, among: new Set(), shareKey: '192.0.2.1', hoards });
  const piece = Buffer.from('a');
  // More than there may be arguments of a call, and within what one connection may hold.
  expect(released.push(Array.from({ length: 150_000 }, () => piece))).toBeUndefined();
  released.advance();
  expect(released.isEmpty).toBe(true);
  expect(wire.bytesTo('client')).toHaveLength(150_000);
});
