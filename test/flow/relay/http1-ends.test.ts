import { describe, expect, test } from 'vitest';
import { limits } from '../../../src/core/limits.ts';
import { lastStatus, record } from './recording.ts';

const get = 'GET /a HTTP/1.1\r\nHost: a.example\r\n\r\n';
const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello';
const post = 'POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 10\r\n\r\n';

describe('an origin that ends', () => {
  test('between exchanges ends the flow', () => {
    const { wire, client, origin, relay } = record();
    client(get);
    origin(ok);
    relay.end('origin', true);
    expect(wire.ending).toBe('close');
  });

  test('without any answer is answered for', () => {
    const { wire, client, relay, inspector } = record();
    client(get);
    relay.end('origin', true);
    expect(lastStatus(wire.to('client'))).toBe(502);
    expect(wire.ending).toBe('close ORIGIN_GONE');
    expect(inspector.exchanges[0]?.outcome).toMatchObject({ complete: false, failure: 'ORIGIN_GONE' });
  });

  test('a kept connection just as a request comes leaves the client what it would see without a gateway', () => {
    const { wire, client, origin, relay, inspector } = record();
    client(get);
    origin(ok);
    client(get);
    relay.end('origin', true);
    expect(wire.to('client')).toBe(ok);
    expect(wire.ending).toBe('close ORIGIN_GONE');
    expect(inspector.exchanges[1]?.outcome?.failure).toBe('ORIGIN_GONE');
  });

  test('within a head is answered for', () => {
    const { wire, client, origin, relay } = record();
    client(get);
    origin(ok.slice(0, 20));
    relay.end('origin', true);
    expect(lastStatus(wire.to('client'))).toBe(502);
    expect(wire.ending).toBe('close ORIGIN_TRUNCATED');
  });

  test.each([
    ['a body of known length', ok.slice(0, -1)],
    ['a chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel'],
    ['chunks before the last one', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n'],
    ['trailers', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n'],
  ])('within %s is seen as broken off', (_, response) => {
    const { wire, client, origin, relay, inspector } = record();
    client(get);
    origin(response);
    relay.end('origin', true);
    expect(wire.ending).toBe('abort ORIGIN_TRUNCATED');
    expect(inspector.exchanges[0]?.outcome).toMatchObject({ complete: false, failure: 'ORIGIN_TRUNCATED' });
  });

  test('a body until close without a clean end is seen as broken off', () => {
    const { wire, client, origin, relay } = record();
    client(get);
    origin('HTTP/1.1 200 OK\r\n\r\nhello');
    relay.end('origin', false);
    expect(wire.ending).toBe('abort ORIGIN_TRUNCATED');
  });

  test('after an early answer leaves the answer', () => {
    const { wire, client, origin, relay, inspector } = record();
    client(`${post}01234`);
    origin('HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n');
    relay.end('origin', true);
    expect(lastStatus(wire.to('client'))).toBe(413);
    expect(wire.ending).toBe('close');
    expect(inspector.exchanges[0]?.outcome).toMatchObject({ complete: false, failure: undefined });
  });

  test('with an early answer that closes leaves the answer', () => {
    const { wire, client, origin, inspector } = record();
    client(`${post}01234`);
    origin('HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
    expect(wire.ending).toBe('close');
    expect(inspector.exchanges[0]?.outcome).toMatchObject({ complete: false, failure: undefined });
  });

  test('with a last response leaves later requests unanswered', () => {
    const { wire, client, origin, inspector } = record();
    client(get + get);
    origin('HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
    expect(wire.ending).toBe('close');
    expect(inspector.exchanges.map(({ outcome }) => outcome?.failure)).toEqual([undefined, 'ORIGIN_GONE']);
  });
});

describe('a client that ends', () => {
  test('between exchanges ends the flow', () => {
    const { wire, relay } = record();
    relay.end('client', true);
    expect(wire.ending).toBe('close');
  });

  test('within a head names itself', () => {
    const { wire, client, relay } = record();
    client('GET / HT');
    relay.end('client', true);
    expect(wire.ending).toBe('close CLIENT_GONE');
    expect(wire.to('origin')).toBe('');
  });

  test('within a body is seen by the origin as broken off', () => {
    const { wire, client, relay, inspector } = record();
    client(`${post}01234`);
    relay.end('client', true);
    expect(wire.ending).toBe('abort CLIENT_GONE');
    expect(inspector.exchanges[0]?.outcome).toMatchObject({
      complete: false,
      failure: 'CLIENT_GONE',
      requestBodyBytes: 5,
    });
  });

  test('within a body after the whole answer came ends in order', () => {
    const { wire, client, origin, relay } = record();
    client(`${post}01234`);
    origin(ok);
    relay.end('client', true);
    expect(wire.ending).toBe('close CLIENT_GONE');
  });

  test('behind pipelined requests gets all responses', () => {
    const { wire, client, origin, relay } = record();
    client(get + get);
    relay.end('client', true);
    expect(wire.ending).toBeUndefined();
    origin(ok + ok);
    expect(wire.to('client')).toBe(ok + ok);
    expect(wire.ending).toBe('close');
    expect(wire.ended).toEqual([]);
  });

  test('by breaking off ends the exchange', () => {
    const { wire, client, relay, inspector } = record();
    client(get);
    relay.end('client', false);
    expect(wire.ending).toBe('abort CLIENT_GONE');
    expect(inspector.exchanges[0]?.outcome?.failure).toBe('CLIENT_GONE');
  });
});

describe('an end from outside', () => {
  test('reports each exchange once and sends nothing', () => {
    const { wire, client, origin, relay, inspector } = record();
    client(get + get);
    origin(ok);
    relay.cut('GATEWAY_SHUTTING_DOWN', 'drained');
    relay.cut('GATEWAY_SHUTTING_DOWN', 'drained');
    origin(ok);
    client(get);
    relay.end('origin', true);
    expect(wire.to('client')).toBe(ok);
    expect(wire.ending).toBeUndefined();
    expect(inspector.exchanges.map(({ outcome }) => outcome?.failure)).toEqual([undefined, 'GATEWAY_SHUTTING_DOWN']);
  });

  test('may come whenever the relay is idle', () => {
    const { client, origin, relay } = record();
    const isIdle = (): boolean | undefined => relay.idle?.();
    expect(isIdle()).toBe(true);
    client(get.slice(0, 5));
    expect(isIdle()).toBe(false);
    client(get.slice(5));
    expect(isIdle()).toBe(false);
    origin(ok.slice(0, -1));
    expect(isIdle()).toBe(false);
    origin('o');
    expect(isIdle()).toBe(true);
  });
});

describe('time', () => {
  test('runs out for a head that does not end', () => {
    const { wire, client, relay } = record();
    client('GET / HTTP/1.1\r\n');
    relay.tick?.(1_000);
    relay.tick?.(1_000 + limits.httpHeadTimeoutMs);
    expect(wire.ending).toBeUndefined();
    relay.tick?.(1_001 + limits.httpHeadTimeoutMs);
    expect(lastStatus(wire.to('client'))).toBe(408);
    expect(wire.ending).toBe('close CLIENT_HTTP_TIMEOUT');
  });

  test('starts anew with each head, and does not run between them', () => {
    const { wire, client, origin, relay } = record();
    client('GET / HTTP/1.1\r\n');
    relay.tick?.(0);
    client('Host: a.example\r\n\r\nGET');
    relay.tick?.(limits.httpHeadTimeoutMs + 1);
    client(' / HTTP/1.1\r\nHost: a.example\r\n\r\n');
    origin(ok + ok);
    relay.tick?.(3 * limits.httpHeadTimeoutMs);
    relay.tick?.(9 * limits.httpHeadTimeoutMs);
    expect(wire.ending).toBeUndefined();
  });
});

describe('limits', () => {
  test('a full pipeline pauses the client and goes on as responses come', () => {
    const { wire, client, origin, inspector } = record();
    client(get.repeat(limits.httpPipelineDepth + 3));
    expect(inspector.exchanges).toHaveLength(limits.httpPipelineDepth);
    expect(wire.to('origin')).toBe(get.repeat(limits.httpPipelineDepth));
    expect(wire.pauses).toEqual([true]);
    client(get);
    origin(ok.repeat(3));
    expect(inspector.exchanges).toHaveLength(limits.httpPipelineDepth + 3);
    expect(wire.pauses).toEqual([true]);
    origin(ok);
    expect(wire.pauses).toEqual([true, false]);
    expect(wire.to('origin')).toBe(get.repeat(limits.httpPipelineDepth + 4));
  });

  test('the end of a paused client is seen behind what was held', () => {
    const { wire, client, origin, relay } = record();
    client(get.repeat(limits.httpPipelineDepth + 1));
    relay.end('client', true);
    origin(ok.repeat(limits.httpPipelineDepth));
    expect(wire.ending).toBeUndefined();
    origin(ok);
    expect(wire.ending).toBe('close');
  });

  test('a client that sends on in spite of its pause is refused', () => {
    const { wire, client, origin } = record();
    client(get.repeat(limits.httpPipelineDepth + 1));
    for (let sent = 0; sent < 2 * limits.sendBufferBytes; sent += 65_536) client(get.padEnd(65_536, 'x'));
    origin(ok.repeat(limits.httpPipelineDepth));
    expect(lastStatus(wire.to('client'))).toBe(503);
    expect(wire.ending).toBe('close GATEWAY_OVERLOADED');
  });

  test('a flood of interim responses is cut', () => {
    const { wire, client, origin, inspector } = record();
    client(get);
    origin('HTTP/1.1 102 Processing\r\n\r\n'.repeat(limits.httpInterimResponses + 1));
    expect(wire.ending).toBe('close ORIGIN_HTTP_MALFORMED');
    expect(lastStatus(wire.to('client'))).toBe(502);
    expect(inspector.exchanges[0]?.events.filter((event) => event.startsWith('interim'))).toHaveLength(
      1 * limits.httpInterimResponses,
    );
  });

  test('a body of 1 GiB passes in constant memory', () => {
    const { wire, client, relay } = record({ inspector: { exchange: () => silent } });
    client(get);
    const piece = Buffer.alloc(1 << 20, 'x');
    const pieces = 1_024;
    let sent = 0;
    wire.send = (_, bytes) => {
      sent += bytes.length;
    };
    relay.receive('origin', Buffer.from(`HTTP/1.1 200 OK\r\nContent-Length: ${pieces * piece.length}\r\n\r\n`));
    const head = sent;
    for (let index = 0; index < pieces; index++) relay.receive('origin', piece);
    expect(sent - head).toBe(pieces * piece.length);
    expect(relay.idle?.()).toBe(true);
  });
});

const pass = () => ({ kind: 'allow' }) as const;
const silent = {
  requestHead: pass,
  requestBody: pass,
  requestEnd: pass,
  responseHead: pass,
  responseBody: pass,
  responseEnd: pass,
  interim: pass,
  upgraded: () => {},
  finish: () => {},
};

describe('byte counts', () => {
  test('are exact for each message, with and without transfer coding', () => {
    const { client, origin, inspector } = record();
    const chunked =
      'POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\n';
    client(`${chunked}\r\n${get}`);
    const interim = 'HTTP/1.1 103 Early Hints\r\n\r\n';
    origin(interim + ok + ok);
    expect(inspector.exchanges[0]?.outcome).toEqual({
      complete: true,
      failure: undefined,
      detail: '',
      requestBodyBytes: 5,
      requestWireBytes: chunked.length,
      responseBodyBytes: 5,
      responseWireBytes: interim.length + ok.length,
    });
    expect(inspector.exchanges[1]?.outcome).toMatchObject({
      requestWireBytes: get.length,
      responseWireBytes: ok.length,
    });
  });
});
