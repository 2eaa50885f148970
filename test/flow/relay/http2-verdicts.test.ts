import { describe, expect, test } from 'vitest';
import { connectionPreface, frameTypes } from '../../../src/codec/http2-frames.ts';
import type { Verdict } from '../../../src/core/verdict.ts';
import {
  data,
  frame,
  get,
  headers,
  number,
  openHttp2,
  post,
  recordHttp2,
  settings,
  update,
} from './http2-recording.ts';
import type { Judge } from './recording.ts';

const rule = { id: 'r-1', title: 'a rule', rev: 1 };
const block: Verdict = { kind: 'block', rule };

/** Blocks (or resets) the first exchange at a step. */
function at(step: string, verdict: Verdict = block): Judge {
  return (name, exchange) => (name === step && exchange.request?.streamId === 1 ? verdict : undefined);
}

const statusOf = (lines: readonly string[]): string[] =>
  lines.map((line) =>
    line.replace(/^(headers \d+(?: END)?) .*?:status=(\d+).*$/, '$1 $2').replace(/^(data \d+(?: END)?) .*/s, '$1'),
  );

describe('a block', () => {
  test('of a request head is answered on its stream; the origin never hears of it, and the others go on', () => {
    const { client, origin, taken, inspector, relay } = openHttp2({}, at('requestHead'));
    client(headers(1, get, true), headers(3, get, true));
    expect(taken('origin')).toEqual([`headers 3 END ${get.join(' ')}`]);
    const answer = taken('client');
    expect(statusOf(answer)).toEqual(['headers 1 403', 'data 1 END']);
    expect(answer[0]).toContain('daylight-failure=POLICY_RULE_BLOCK');
    expect(answer[1]).toContain('r-1 rev 1: a rule');
    origin(headers(3, [':status=204'], true));
    expect(taken('client')).toEqual(['headers 3 END :status=204']);
    expect(inspector.exchanges.map(({ outcome }) => outcome?.failure)).toEqual(['POLICY_RULE_BLOCK', undefined]);
    expect(inspector.exchanges.map(({ outcome }) => outcome?.answered)).toEqual([403, undefined]);
    expect(relay.idle?.()).toBe(true);
  });

  test('of a request body cuts it off at the origin before the offending frame, and stops the client', () => {
    const { client, origin, taken } = openHttp2({}, at('requestBody'));
    client(headers(1, post), headers(3, get, true));
    taken('origin');
    client(data(1, 'evil'));
    expect(taken('origin')).toEqual(['rstStream 1 8']);
    // The window that the dropped frame took is given back: the origin never saw it.
    expect(statusOf(taken('client'))).toEqual(['windowUpdate 0 4', 'headers 1 403', 'data 1 END', 'rstStream 1 0']);
    client(data(1, 'more'.repeat(1_000), true));
    expect(taken('client')).toEqual(['windowUpdate 0 4000']);
    origin(headers(1, [':status=200']), data(1, 'late'), headers(3, [':status=204'], true));
    expect(taken('client')).toEqual(['headers 3 END :status=204']);
    expect(taken('origin')).toEqual(['windowUpdate 0 4']);
  });

  test('of a response head or of a response without body is answered in its place', () => {
    for (const step of ['responseHead', 'responseEnd']) {
      const { client, origin, taken } = openHttp2({}, at(step));
      client(headers(1, get, true));
      taken('origin');
      origin(headers(1, [':status=200', 'a=secret'], true));
      expect(statusOf(taken('client'))).toEqual(['headers 1 403', 'data 1 END']);
    }
  });

  test('of a response body resets the stream before the offending frame', () => {
    const { client, origin, taken, inspector } = openHttp2({}, (step, exchange) =>
      step === 'responseBody' && exchange.responseBody.includes('evil') ? block : undefined,
    );
    client(headers(1, get, true));
    taken('origin');
    origin(headers(1, [':status=200']), data(1, 'good'), data(1, 'evil'), data(1, 'rest', true));
    expect(taken('client')).toEqual(['headers 1 :status=200', 'data 1 good', 'rstStream 1 2']);
    expect(taken('origin')).toEqual(['windowUpdate 0 4', 'rstStream 1 8', 'windowUpdate 0 4']);
    expect(inspector.exchanges[0]?.outcome).toMatchObject({ failure: 'POLICY_RULE_BLOCK', complete: false });
  });

  test('of trailers leaves them behind', () => {
    const { client, origin, taken } = openHttp2({}, (step, exchange) =>
      step === 'responseEnd' && exchange.responseTrailers.length > 0 ? block : undefined,
    );
    client(headers(1, get, true));
    origin(headers(1, [':status=200']), data(1, 'x'), headers(1, ['x-evil=1'], true));
    expect(taken('client')).toEqual(['headers 1 :status=200', 'data 1 x', 'rstStream 1 2']);
  });

  test('is answered without body to HEAD, and as JSON to whom asks for it', () => {
    const { client, taken } = openHttp2({}, (step) => (step === 'requestHead' ? block : undefined));
    client(headers(1, [':method=HEAD', ...get.slice(1)], true), headers(3, [...get, 'accept=application/json'], true));
    const [head = '', json = ''] = taken('client');
    expect(head).toMatch(/^headers 1 END :status=403/);
    expect(json).toContain('content-type=application/json');
  });
});

test('a reset ends its stream on both legs, and no other', () => {
  const { client, origin, taken, wire } = openHttp2({}, at('requestEnd', { kind: 'reset', rule }));
  client(headers(1, post), headers(3, get, true), data(1, 'x', true));
  expect(taken('origin').slice(2)).toEqual(['rstStream 1 8']);
  expect(taken('client')).toEqual(['windowUpdate 0 1', 'rstStream 1 8']);
  origin(headers(3, [':status=204'], true));
  expect(taken('client')).toEqual(['headers 3 END :status=204']);
  expect(wire.ending).toBeUndefined();
});

describe('a page', () => {
  test("waits for the client's windows, of the stream and of the connection", () => {
    const { client, taken, relay } = openHttp2({}, at('requestHead'), { client: settings([4, 100]) });
    client(headers(1, get, true));
    const [, first = ''] = taken('client');
    expect(first).toMatch(/^data 1 /);
    expect(first.length - 'data 1 '.length).toBe(100);
    expect(relay.idle?.()).toBe(false);
    client(update(1, 50));
    expect(taken('client').map((line) => line.length)).toEqual(['data 1 '.length + 50]);
    client(update(1, 10_000));
    expect(statusOf(taken('client'))).toEqual(['data 1 END']);
    expect(relay.idle?.()).toBe(true);
  });

  test('is forgotten when the client resets its stream', () => {
    const { client, taken, relay } = openHttp2({}, at('requestHead'), { client: settings([4, 0]) });
    client(headers(1, get, true), frame(frameTypes.rstStream, 0, 1, number(8)));
    expect(statusOf(taken('client'))).toEqual(['headers 1 403']);
    expect(taken('origin')).toEqual([]);
    expect(relay.idle?.()).toBe(true);
  });

  test('takes the window that the origin believes to have: what does not fit waits alone, and updates repay it', () => {
    const { client, origin, taken, wire } = openHttp2({}, at('requestHead'), { client: settings([4, 1_000_000]) });
    client(headers(1, get, true), headers(3, get, true));
    const page = taken('client')[1] ?? '';
    const pageBytes = page.length - 'data 1 END '.length;
    taken('origin');
    origin(headers(3, [':status=200']));
    for (let sent = 0; sent < 60_000; sent += 20_000) {
      origin(data(3, Buffer.alloc(10_000)), data(3, Buffer.alloc(10_000)));
    }
    origin(data(3, Buffer.alloc(5_000)));
    const room = 65_535 - 60_000 - pageBytes;
    const passed = taken('client');
    expect(statusOf(passed)).toEqual(['headers 3 200', ...Array.from({ length: 7 }, () => 'data 3')]);
    expect(passed.at(-1)).toHaveLength('data 3 '.length + room);
    // Its window is used up to the last byte now, as the origin sees it. What needs no window goes on.
    origin(data(3, Buffer.alloc(535), true), frame(frameTypes.ping, 0, 0, '12345678'));
    expect(statusOf(taken('client'))).toEqual(['ping 0 3132333435363738']);
    // The client has read all that it got, the page included; the origin hears only of its own.
    client(update(0, 65_535));
    expect(taken('origin')).toEqual([`windowUpdate 0 ${65_535 - pageBytes}`]);
    const rest = taken('client');
    expect(statusOf(rest)).toEqual(['data 3', 'data 3 END']);
    expect(rest.join('').length).toBe('data 3 '.length + 5_000 - room + 'data 3 END '.length + 535);
    expect(wire.pauses).toEqual([]);
  });
});

describe('a request is refused on its stream', () => {
  const refused = (fields: readonly string[], options: Parameters<typeof openHttp2>[0] = {}, isEnded = true) => {
    const recording = openHttp2(options);
    recording.client(headers(1, fields, isEnded));
    expect(recording.taken('origin')).toEqual([]);
    expect(recording.wire.ending).toBeUndefined();
    const [outcome] = recording.inspector.exchanges.map((exchange) => exchange.outcome?.failure);
    return { outcome, lines: statusOf(recording.taken('client')) };
  };

  test('when its host is not covered by the certificate', () => {
    expect(refused(get, { hostAllowed: (host) => host !== 'a.example' })).toEqual({
      outcome: 'CLIENT_HOST_MISMATCH',
      lines: ['headers 1 421', 'data 1 END'],
    });
  });

  test('when policy refuses its host', () => {
    expect(refused(get, { hostRefusal: (host) => (host === 'a.example' ? 'why' : undefined) })).toEqual({
      outcome: 'POLICY_REFUSED',
      lines: ['headers 1 403', 'data 1 END'],
    });
  });

  test('when it is CONNECT', () => {
    expect(refused([':method=CONNECT', ':authority=a.example:443'], {}, false)).toEqual({
      outcome: 'POLICY_CONNECT_REFUSED',
      lines: ['headers 1 405', 'data 1 END', 'rstStream 1 0'],
    });
  });

  test('when its headers are too many or too large', () => {
    const many = Array.from({ length: 300 }, (_, index) => `x-${index}=1`);
    expect(refused([...get, ...many])).toEqual({
      outcome: 'CLIENT_HTTP_HEAD_TOO_LARGE',
      lines: ['headers 1 431', 'data 1 END'],
    });
  });

  test('when it is malformed, with a record of what could be read', () => {
    expect(refused([...get, 'connection=close'])).toEqual({
      outcome: 'CLIENT_HTTP_MALFORMED',
      lines: ['rstStream 1 1'],
    });
    expect(refused([...get, 'host=b.example'])).toEqual({ outcome: 'CLIENT_HTTP_AMBIGUOUS', lines: ['rstStream 1 1'] });
  });
});

describe('a body other than its Content-Length', () => {
  test.each([
    ['too long', [data(1, '123456')]],
    ['too short', [data(1, '1234', true)]],
    ['cut by trailers', [data(1, '1234'), headers(1, ['x-a=b'], true)]],
  ])('of a request, %s, never reaches the origin whole', (_name, frames) => {
    const { client, taken, inspector } = openHttp2();
    client(headers(1, [...post, 'content-length=5']), ...frames);
    expect(taken('origin').filter((line) => line.includes('END'))).toEqual([]);
    expect(taken('client').at(-1)).toBe('rstStream 1 1');
    expect(inspector.exchanges[0]?.outcome?.failure).toBe('CLIENT_HTTP_MALFORMED');
  });

  test.each([
    ['too long', [data(1, '123456')]],
    ['too short', [data(1, '1234', true)]],
    ['cut by trailers', [data(1, '1234'), headers(1, ['x-a=b'], true)]],
  ])('of a response, %s, never reaches the client whole', (_name, frames) => {
    const { client, origin, taken, inspector } = openHttp2();
    client(headers(1, get, true));
    origin(headers(1, [':status=200', 'content-length=5']), ...frames);
    const lines = taken('client');
    expect(lines.filter((line) => line.includes('END'))).toEqual([]);
    expect(lines.at(-1)).toBe('rstStream 1 2');
    expect(inspector.exchanges[0]?.outcome?.failure).toBe('ORIGIN_HTTP_MALFORMED');
  });

  test('is none in an answer to HEAD', () => {
    const { client, origin, taken } = openHttp2();
    client(headers(1, [':method=HEAD', ...get.slice(1)], true));
    origin(headers(1, [':status=200', 'content-length=5'], true));
    expect(taken('client')).toEqual(['headers 1 END :status=200 content-length=5']);
  });
});

test.each([
  ['malformed', [headers(1, [':status=200', 'Upper=1'])], 'ORIGIN_HTTP_MALFORMED'],
  ['without head', [data(1, 'x')], 'ORIGIN_HTTP_MALFORMED'],
  [
    'with endless interim responses',
    Array.from({ length: 17 }, () => headers(1, [':status=103'])),
    'ORIGIN_HTTP_MALFORMED',
  ],
  [
    'that is too large',
    [headers(1, [':status=200', ...Array.from({ length: 300 }, (_, at) => `x-${at}=1`)])],
    'ORIGIN_HTTP_HEAD_TOO_LARGE',
  ],
])('a response %s is answered with a page', (_name, frames, code) => {
  const { client, origin, taken, inspector } = openHttp2();
  client(headers(1, get, true));
  taken('origin');
  origin(...frames);
  expect(statusOf(taken('client')).slice(-2)).toEqual(['headers 1 502', 'data 1 END']);
  expect(taken('origin').at(-1)).toBe('rstStream 1 8');
  expect(inspector.exchanges[0]?.outcome?.failure).toBe(code);
});

describe('an extended CONNECT (RFC 8441)', () => {
  const connect = [':method=CONNECT', ':protocol=chat', ...get.slice(1)];
  const allowed = { origin: settings([8, 1]) };

  test('passes opaque once the origin has agreed to it, and is recorded', () => {
    const { client, origin, taken, inspector } = openHttp2({}, undefined, allowed);
    client(headers(1, connect));
    origin(headers(1, [':status=200']), data(1, 'there'));
    client(data(1, 'here', true));
    origin(data(1, 'gone', true));
    expect(taken('origin')).toEqual([`headers 1 ${connect.join(' ')}`, 'data 1 END here']);
    expect(taken('client')).toEqual(['headers 1 :status=200', 'data 1 there', 'data 1 END gone']);
    expect(inspector.exchanges[0]?.events.join(' ')).toBe('requestHead requestEnd responseHead upgraded chat finish');
  });

  test('that is answered with anything but a success leads nowhere', () => {
    const { client, origin, taken, inspector, relay } = openHttp2({}, undefined, allowed);
    client(headers(1, connect), data(1, 'early'));
    origin(headers(1, [':status=403']), data(1, 'no', true));
    expect(taken('origin')).toEqual([`headers 1 ${connect.join(' ')}`, 'data 1 END']);
    client(data(1, 'late', true));
    expect(inspector.exchanges[0]?.outcome).toMatchObject({ complete: true, responseBodyBytes: 2 });
    expect(relay.idle?.()).toBe(true);
  });

  test('gets its early bytes once the origin has agreed', () => {
    const { client, origin, taken } = openHttp2({}, undefined, allowed);
    client(headers(1, connect), data(1, 'early'));
    expect(taken('origin')).toEqual([`headers 1 ${connect.join(' ')}`]);
    expect(taken('client')).toEqual(['windowUpdate 1 5', 'windowUpdate 0 5']);
    client(data(1, 'more', true));
    origin(headers(1, [':status=200']));
    expect(taken('origin').join('').replaceAll('data 1', '')).toContain('early');
  });

  test('is refused where policy, or the origin, does not allow it', () => {
    for (const [options, own] of [
      [{ upgrades: 'refuse' }, allowed],
      [{ upgrades: 'websocket' }, allowed],
      [{}, {}],
    ] as const) {
      const { client, taken } = openHttp2(options, undefined, own);
      client(headers(1, connect));
      expect(taken('origin')).toEqual([]);
      expect(taken('client')[0]).toMatch(/:status=40[35]/);
    }
  });

  test('is not offered to the client where policy refuses it', () => {
    const { client, origin, taken } = openHttp2({ upgrades: 'refuse' });
    origin(settings([8, 1]));
    expect(taken('client')).toEqual(['settings 0 000800000000']);
    client(headers(1, get, true));
  });
});

describe('a change', () => {
  const changes = { remove: ['server'], set: [['X-Env', 'test']] as const };

  test('of a head is made in its fields, and in those of no other', () => {
    const { client, origin, taken } = openHttp2({}, (name, exchange) =>
      name.endsWith('Head') && exchange.request?.streamId === 1 ? { kind: 'allow', changes } : undefined,
    );
    client(headers(1, [...get, 'server=x', 'x-env=old'], true), headers(3, [...get, 'server=x'], true));
    expect(taken('origin')).toEqual([
      `headers 1 END ${get.join(' ')} x-env=test`,
      `headers 3 END ${get.join(' ')} server=x`,
    ]);
    origin(headers(1, [':status=200', 'server=s', 'a=b']), data(1, 'body', true));
    expect(taken('client')).toEqual(['headers 1 :status=200 a=b x-env=test', 'data 1 END body']);
  });

  test('of an offer of HTTP/3 is its loss, unless policy keeps it', () => {
    const offer = frame(frameTypes.altSvc, 0, 0, Buffer.from('\0\x01hh3=":443"'));
    for (const offered of ['before a request', 'on its connection', 'on its stream'] as const) {
      const { client, origin, taken, inspector } = openHttp2();
      if (offered === 'before a request') origin(offer, offer);
      client(headers(1, get, true), headers(3, get, true));
      if (offered === 'on its connection') origin(offer, offer);
      const own = frame(frameTypes.altSvc, 0, 1, Buffer.from('\0\0h3=":443"'));
      if (offered === 'on its stream') origin(own, own);
      expect(taken('client')).toEqual([]);
      const told = inspector.exchanges.map(({ events }) => events.filter((event) => event.startsWith('changed')));
      const change = ['changed: response ALTSVC frame removed'];
      expect(told).toEqual(offered === 'on its connection' ? [[], change] : [change, []]);
    }
    const keeping = openHttp2({ altSvc: 'keep' });
    keeping.origin(offer);
    expect(keeping.wire.bytesTo('client').includes(offer)).toBe(true);
  });
});

test('an answer waits until the origin has said its settings, which come first', () => {
  const { client, origin, taken } = recordHttp2({}, at('requestHead'));
  client(connectionPreface, settings(), headers(1, get, true));
  expect(taken('client')).toEqual([]);
  origin(settings([4, 70_000]));
  expect(statusOf(taken('client')).map((line) => line.replace(/ 0003.*/, ''))).toEqual([
    'settings 0 0004000111700003000003e8',
    'headers 1 403',
    'data 1 END',
  ]);
});
