import { describe, expect, test } from 'vitest';
import type { Verdict } from '../../../src/core/verdict.ts';
import { type Judge, lastStatus, record } from './recording.ts';

const rule = { id: 'r-1', title: 'No <secrets>', rev: 2 };
const block: Verdict = { kind: 'block', rule };
const reset: Verdict = { kind: 'reset', rule };

const get = 'GET /a HTTP/1.1\r\nHost: a.example\r\nAccept: application/json\r\n\r\n';
const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello';
const post = 'POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 10\r\n\r\n';

/** Blocks or resets at a step of the exchange with this depth. */
function at(step: string, verdict: Verdict, depth = 0): Judge {
  const seen: unknown[] = [];
  return (name, exchange) => {
    if (!seen.includes(exchange)) seen.push(exchange);
    return name === step && seen.indexOf(exchange) === depth ? verdict : undefined;
  };
}

describe('a block on a request', () => {
  test.each(['requestHead', 'requestBody', 'requestEnd'])('at %s forwards no byte of it and answers 403', (step) => {
    const { wire, client, inspector } = record({}, at(step, block));
    client(`${post}0123456789`);
    expect(wire.to('origin')).toBe('');
    expect(lastStatus(wire.to('client'))).toBe(403);
    expect(wire.to('client')).toContain('r-1');
    expect(wire.to('client')).toContain('flow-1');
    expect(wire.to('client')).not.toContain('<secrets>');
    expect(wire.ending).toBe('close POLICY_RULE_BLOCK');
    expect(wire.detail).toBe('rule r-1');
    expect(inspector.exchanges[0]?.outcome).toMatchObject({
      complete: false,
      failure: 'POLICY_RULE_BLOCK',
      answered: 403,
    });
  });

  test('is answered in JSON where the client asks for it, and without body to HEAD', () => {
    const json = record({}, at('requestHead', block));
    json.client(get);
    const page = JSON.parse(json.wire.to('client').split('\r\n\r\n')[1] ?? '');
    expect(page).toMatchObject({ code: 'POLICY_RULE_BLOCK', rule, flowId: 'flow-1' });
    const head = record({}, at('requestHead', block));
    head.client('HEAD /a HTTP/1.1\r\nHost: a.example\r\n\r\n');
    expect(head.wire.to('client')).toMatch(/^HTTP\/1\.1 403 [\s\S]*\r\nContent-Length: [1-9]\d+\r\n[\s\S]*\r\n\r\n$/);
  });

  test('waits for the responses to earlier requests', () => {
    const { wire, client, origin } = record({}, at('requestHead', block, 1));
    client(get + get + get);
    expect(wire.to('origin')).toBe(get);
    expect(wire.to('client')).toBe('');
    expect(wire.ending).toBeUndefined();
    origin(ok.slice(0, 20));
    origin(ok.slice(20));
    expect(wire.to('client').startsWith(`${ok}HTTP/1.1 403 Forbidden\r\n`)).toBe(true);
    expect(wire.ending).toBe('close POLICY_RULE_BLOCK');
  });

  test('in the middle of a body stops the body and answers, if no response has begun', () => {
    const judge: Judge = (step, { requestBody }) =>
      step === 'requestBody' && requestBody.length > 5 ? block : undefined;
    const { wire, client, inspector } = record({}, judge);
    client(`${post}01234`);
    client('56789');
    expect(wire.to('origin')).toBe(`${post}01234`);
    expect(lastStatus(wire.to('client'))).toBe(403);
    expect(inspector.exchanges[0]?.outcome).toMatchObject({
      complete: false,
      requestBodyBytes: 10,
      responseWireBytes: 0,
    });
  });

  test('in the middle of a body aborts, if a response has begun', () => {
    const judge: Judge = (step, { requestBody }) =>
      step === 'requestBody' && requestBody.length > 5 ? block : undefined;
    const { wire, client, origin } = record({}, judge);
    client(`${post}01234`);
    origin(ok.slice(0, -1));
    client('56789');
    expect(wire.to('client')).toBe(ok.slice(0, -1));
    expect(wire.ending).toBe('abort POLICY_RULE_BLOCK');
  });

  test('in the middle of a body after the whole answer came leaves the answer', () => {
    const judge: Judge = (step, { requestBody }) =>
      step === 'requestBody' && requestBody.length > 5 ? block : undefined;
    const { wire, client, origin } = record({}, judge);
    client(`${post}01234`);
    origin(ok);
    client('56789');
    expect(wire.to('client')).toBe(ok);
    expect(wire.ending).toBe('close POLICY_RULE_BLOCK');
  });

  test('takes nothing of the request before it along, even where its own head was changed', () => {
    const { wire, client } = record({}, at('requestBody', block, 1));
    client(`${get}${post.replace('\r\n\r\n', '\r\nHTTP2-Settings: AAM\r\n\r\n')}0123456789`);
    expect(wire.to('origin')).toBe(get);
  });

  test('at trailers withholds the end of the body', () => {
    const { wire, client } = record({}, at('requestEnd', block));
    const head = 'POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n';
    client(head);
    client('0\r\nX-Secret: 1\r\n');
    client('\r\n');
    expect(wire.to('origin')).not.toContain('X-Secret');
    expect(lastStatus(wire.to('client'))).toBe(403);
  });
});

describe('a block on a response', () => {
  test.each(['responseHead', 'responseBody', 'responseEnd'])(
    'at %s, with nothing of it sent, is answered in its place',
    (step) => {
      const { wire, client, origin, inspector } = record({}, at(step, block, 1));
      client(get + get);
      origin(ok + ok);
      expect(wire.to('client').startsWith(`${ok}HTTP/1.1 403 `)).toBe(true);
      expect(wire.to('client').slice(ok.length)).not.toContain('hello');
      expect(wire.ending).toBe('close POLICY_RULE_BLOCK');
      expect(inspector.exchanges.map(({ outcome }) => outcome?.complete)).toEqual([true, false]);
    },
  );

  test('within a body never forwards what offends, and breaks the message off', () => {
    const judge: Judge = (step, { responseBody }) =>
      step === 'responseBody' && responseBody.includes('virus') ? block : undefined;
    const { wire, client, origin } = record({}, judge);
    client(get);
    origin('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n');
    origin('3\r\nvir\r\n');
    origin('2\r\nus\r\n0\r\n\r\n');
    expect(wire.to('client').endsWith('3\r\nvir\r\n')).toBe(true);
    expect(wire.ending).toBe('abort POLICY_RULE_BLOCK');
  });

  test('at the end of a body until close breaks it off', () => {
    const { wire, client, origin, relay } = record({}, at('responseEnd', block));
    client(get);
    origin('HTTP/1.1 200 OK\r\n\r\nhello');
    relay.end('origin', true);
    expect(wire.ending).toBe('abort POLICY_RULE_BLOCK');
  });

  test('leaves the requests behind it unanswered and reported', () => {
    const { client, origin, inspector } = record({}, at('responseHead', block));
    client(get + get);
    origin(ok + ok);
    expect(inspector.exchanges.map(({ outcome }) => outcome?.failure)).toEqual([
      'POLICY_RULE_BLOCK',
      'POLICY_RULE_BLOCK',
    ]);
    expect(inspector.exchanges.map(({ outcome }) => outcome?.answered)).toEqual([403, undefined]);
  });

  test('of a switch of protocols keeps the client from switching', () => {
    const { wire, client, origin } = record({}, at('responseHead', block));
    client('GET / HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
    origin('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nframe');
    expect(lastStatus(wire.to('client'))).toBe(403);
    expect(wire.to('client')).not.toContain('frame');
  });
});

describe('a reset', () => {
  test.each(['requestHead', 'requestBody', 'requestEnd', 'responseHead', 'responseBody', 'responseEnd'])(
    'at %s breaks both legs off without a word',
    (step) => {
      const { wire, client, origin, inspector } = record({}, at(step, reset));
      client(`${post}0123456789`);
      if (wire.ending === undefined) origin(ok);
      expect(wire.to('client')).toBe('');
      expect(wire.ending).toBe('abort POLICY_RULE_RESET');
      expect(inspector.exchanges[0]?.outcome?.failure).toBe('POLICY_RULE_RESET');
    },
  );
});

describe('an inspector that throws', () => {
  test('ends its exchanges, and nothing that it did not judge is forwarded', () => {
    const { wire, client, inspector, relay } = record({}, (step) => {
      if (step === 'requestBody') throw new Error('disk full');
      return undefined;
    });
    expect(() => client(`${post}0123456789`)).toThrow('disk full');
    expect(wire.to('origin')).toBe('');
    expect(inspector.exchanges[0]?.outcome?.failure).toBe('GATEWAY_INTERNAL');
    client(get);
    relay.end('client', true);
    expect(inspector.exchanges).toHaveLength(1);
  });
});

describe('what is forwarded', () => {
  test('was judged before', () => {
    const log: string[] = [];
    const { wire, client, origin } = record({}, (step) => {
      log.push(step);
      return undefined;
    });
    wire.onSend = (to) => log.push(`> ${to}`);
    client(post);
    client('01234');
    client('56789');
    origin(ok.slice(0, -5));
    origin('hello');
    expect(log).toEqual(
      'requestHead,> origin,requestBody,> origin,requestBody,requestEnd,> origin,responseHead,> client,responseBody,responseEnd,finish,> client'.split(
        ',',
      ),
    );
  });

  test('are the received bytes themselves, not copies', () => {
    const { wire, relay } = record();
    const request = Buffer.from(`${get}${get}`);
    relay.receive('client', request);
    expect(wire.viewsTo('origin')).toHaveLength(1);
    expect(wire.viewsTo('origin')[0]).toBe(request);
    const response = Buffer.from(`${ok}HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`);
    relay.receive('origin', response);
    expect(wire.viewsTo('client')).toEqual([response]);
    expect(wire.viewsTo('client')[0]).toBe(response);
  });
});
