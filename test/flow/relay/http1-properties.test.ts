import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { lastStatus, type Recording, record } from './recording.ts';

const requests = [
  'GET /a HTTP/1.1\r\nHost: a.example\r\n\r\n',
  'POST /b HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\n\r\nhello',
  'PUT /c HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\n',
  'GET /d HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
];
const responses = [
  'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nworld',
  'HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nworld\r\n0\r\n\r\n',
  'HTTP/1.1 204 No Content\r\n\r\n',
  'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n',
  'HTTP/1.1 200 OK\r\n\r\nworld',
];

/** Cuts, repeats, drops and overwrites bytes. */
const mutation = fc.oneof(
  fc.record({
    kind: fc.constant('insert' as const),
    at: fc.nat(400),
    text: fc.constantFrom('\r', '\n', '\r\n', ' ', ':', '\0', '0', 'x', ','),
  }),
  fc.record({ kind: fc.constant('drop' as const), at: fc.nat(400), text: fc.constant('') }),
  fc.record({
    kind: fc.constant('replace' as const),
    at: fc.nat(400),
    text: fc.constantFrom('\r', '\n', ' ', '\t', ';', '9', 'A', '\xff'),
  }),
);

type Mutation = { readonly kind: 'insert' | 'drop' | 'replace'; readonly at: number; readonly text: string };

function mutated(text: string, mutations: readonly Mutation[]): string {
  return mutations.reduce((mutant, { kind, at, text: inserted }) => {
    const place = mutant.length === 0 ? 0 : at % mutant.length;
    return mutant.slice(0, place) + inserted + mutant.slice(place + (kind === 'insert' ? 0 : 1));
  }, text);
}

const conversation = fc.record({
  client: fc.array(fc.constantFrom(...requests), { minLength: 1, maxLength: 4 }),
  origin: fc.array(fc.constantFrom(...responses), { minLength: 1, maxLength: 4 }),
  clientMutations: fc.array(mutation, { maxLength: 2 }),
  originMutations: fc.array(mutation, { maxLength: 2 }),
  pieceBytes: fc.integer({ min: 1, max: 60 }),
  isEnded: fc.boolean(),
});

function play(client: string, origin: string, pieceBytes: number, isEnded: boolean): Recording {
  const recording = record();
  const isOpen = (): boolean => recording.wire.ending === undefined;
  for (let at = 0; at < Math.max(client.length, origin.length) && isOpen(); at += pieceBytes) {
    if (at < client.length) recording.client(client.slice(at, at + pieceBytes));
    if (at < origin.length && isOpen()) recording.origin(origin.slice(at, at + pieceBytes));
  }
  if (isEnded && isOpen()) recording.relay.end('origin', true);
  recording.relay.cut('GATEWAY_SHUTTING_DOWN', '');
  return recording;
}

describe('whatever both sides send', () => {
  test('the relay never throws, reports every exchange once, and adds nothing but one answer of its own', () => {
    fc.assert(
      fc.property(conversation, ({ client, origin, clientMutations, originMutations, pieceBytes, isEnded }) => {
        const fromClient = mutated(client.join(''), clientMutations);
        const fromOrigin = mutated(origin.join(''), originMutations);
        const { wire, inspector } = play(fromClient, fromOrigin, pieceBytes, isEnded);
        for (const { events, outcome } of inspector.exchanges) {
          expect(events.filter((event) => event === 'finish')).toHaveLength(1);
          expect(outcome?.complete === true && outcome.failure !== undefined).toBe(false);
        }
        expect(isSubsequence(wire.to('origin'), fromClient)).toBe(true);
        const toClient = wire.to('client');
        const page = toClient.search(
          /HTTP\/1\.1 \d{3} [^\r]*\r\nContent-Type: text\/html; charset=utf-8\r\nContent-Length: \d+\r\nCache-Control: no-store/,
        );
        expect(fromOrigin.startsWith(page < 0 ? toClient : toClient.slice(0, page))).toBe(true);
        if (page >= 0) expect([400, 431, 501, 502, 505]).toContain(lastStatus(toClient));
      }),
      { numRuns: 3_000 },
    );
  });

  test('what is well-formed passes whole, in whatever pieces', () => {
    const pair = fc.constantFrom(
      ...requests
        .slice(0, 3)
        .flatMap((request) => responses.slice(0, 3).map((response) => [request, response] as const)),
    );
    fc.assert(
      fc.property(
        fc.array(pair, { minLength: 1, maxLength: 6 }),
        fc.integer({ min: 1, max: 200 }),
        (pairs, pieceBytes) => {
          const client = pairs.map(([request]) => request).join('');
          const origin = pairs.map(([, response]) => response).join('');
          const { wire, relay, inspector } = record();
          for (let at = 0; at < client.length; at += pieceBytes)
            relay.receive('client', Buffer.from(client.slice(at, at + pieceBytes)));
          for (let at = 0; at < origin.length; at += pieceBytes)
            relay.receive('origin', Buffer.from(origin.slice(at, at + pieceBytes)));
          expect(wire.to('origin')).toBe(client);
          expect(wire.to('client')).toBe(origin);
          expect(inspector.exchanges.map(({ outcome }) => outcome?.complete)).toEqual(pairs.map(() => true));
        },
      ),
    );
  });
});

/** Whether `part` is `text` with runs left out (empty lines before a request). */
function isSubsequence(part: string, text: string): boolean {
  let at = 0;
  for (const letter of text) if (letter === part[at]) at++;
  return at === part.length;
}
