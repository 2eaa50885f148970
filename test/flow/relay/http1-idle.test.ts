import { describe, expect, test } from 'vitest';
import { lastStatus, record } from './recording.ts';

const get = 'GET /a HTTP/1.1\r\nHost: a.example\r\n\r\n';
const post = 'POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 10\r\n\r\n';
const expecting = 'POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n';
const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello';

/** Client and origin bytes in turn, how the flow ends when nothing more comes, and the status that the client sees last. */
const stalls: readonly [what: string, client: string, origin: string, ending: string, status: number][] = [
  ['a request head', get.slice(0, 20), '', 'close CLIENT_HTTP_TIMEOUT', 408],
  ['a request body', `${post}half`, '', 'close CLIENT_IDLE_TIMEOUT', 408],
  [
    'a request body that the origin asked for',
    expecting,
    'HTTP/1.1 100 Continue\r\n\r\n',
    'close CLIENT_IDLE_TIMEOUT',
    408,
  ],
  ['a request body after an early answer', `${post}half`, ok, 'close CLIENT_IDLE_TIMEOUT', 200],
  ['a request body after a begun answer', `${post}half`, ok.slice(0, -1), 'abort CLIENT_IDLE_TIMEOUT', 200],
  ['leave to send the body', expecting, '', 'close ORIGIN_IDLE_TIMEOUT', 504],
  ['a response', get, '', 'close ORIGIN_IDLE_TIMEOUT', 504],
  ['a response head', get, ok.slice(0, 20), 'close ORIGIN_IDLE_TIMEOUT', 504],
  ['a final response', get, 'HTTP/1.1 103 Early Hints\r\n\r\n', 'close ORIGIN_IDLE_TIMEOUT', 504],
  ['a response body', get, ok.slice(0, -1), 'abort ORIGIN_IDLE_TIMEOUT', 200],
  ['the second of two responses', get + get, ok, 'close ORIGIN_IDLE_TIMEOUT', 504],
];

describe('when nothing comes any more while', () => {
  test.each(stalls)('%s is awaited', (_what, fromClient, fromOrigin, ending, status) => {
    const { wire, client, origin, relay, inspector } = record();
    client(fromClient);
    if (fromOrigin !== '') origin(fromOrigin);
    expect(relay.idle?.()).toBe(false);
    relay.timedOut?.();
    expect(wire.ending).toBe(ending);
    expect(lastStatus(wire.to('client'))).toBe(status);
    // Each exchange is reported once, whole or with the code of the end.
    const code = ending.split(' ')[1];
    for (const { outcome } of inspector.exchanges) {
      expect(outcome?.complete === true ? code : outcome?.failure).toBe(code);
    }
  });
});
