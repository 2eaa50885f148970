import { describe, expect, test } from 'vitest';
import { lastStatus, record } from './recording.ts';
import { type SmugglingVector, smugglingVectors } from './smuggling-vectors.ts';

const refusals: Record<Exclude<SmugglingVector['expected'], 'verbatim'>, readonly [string, number]> = {
  malformed: ['CLIENT_HTTP_MALFORMED', 400],
  ambiguous: ['CLIENT_HTTP_AMBIGUOUS', 400],
  'too-large': ['CLIENT_HTTP_HEAD_TOO_LARGE', 431],
  version: ['CLIENT_HTTP_VERSION', 505],
  unsupported: ['CLIENT_HTTP_AMBIGUOUS', 501],
  connect: ['POLICY_CONNECT_REFUSED', 405],
};

const next = 'GET /smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n';

describe('a request that two recipients could read differently', () => {
  test.each(smugglingVectors.filter(({ expected }) => expected !== 'verbatim'))('is refused: $name', (vector) => {
    const [code, status] = refusals[vector.expected as keyof typeof refusals];
    const { wire, client, inspector } = record();
    client(vector.bytes + next);
    expect(wire.ending).toBe(`close ${code}`);
    expect(lastStatus(wire.to('client'))).toBe(status);
    expect(wire.to('client')).toContain(code);
    expect(wire.to('origin')).toBe('');
    expect(inspector.exchanges.every(({ outcome }) => outcome?.failure === code)).toBe(true);
  });

  test.each(smugglingVectors.filter(({ expected }) => expected !== 'verbatim'))(
    'is refused byte by byte, and nothing behind its head passes for a request: $name',
    (vector) => {
      const [code, status] = refusals[vector.expected as keyof typeof refusals];
      const { wire, relay } = record();
      for (const byte of Buffer.from(vector.bytes + next, 'latin1')) relay.receive('client', Buffer.from([byte]));
      expect(wire.ending).toBe(`close ${code}`);
      expect(lastStatus(wire.to('client'))).toBe(status);
      // A head was forwarded before its body proved wrong; never a second one, and only a prefix of what came.
      expect(vector.bytes.startsWith(wire.to('origin'))).toBe(true);
    },
  );
});

describe('a request that has one reading only', () => {
  test.each(smugglingVectors.filter(({ expected }) => expected === 'verbatim'))('passes as it is: $name', (vector) => {
    const { wire, client, inspector } = record();
    client(vector.bytes + next);
    expect(wire.to('origin')).toBe(vector.bytes + next);
    expect(wire.ending).toBeUndefined();
    expect(inspector.exchanges.map(({ request }) => request?.target).at(-1)).toBe('/smuggled');
    expect(inspector.exchanges).toHaveLength(2);
    expect(inspector.exchanges[0]?.requestBody.toString('latin1')).toBe(vector.body);
  });
});
