import { once } from 'node:events';
import { Duplex } from 'node:stream';
import { createSecureContext, TLSSocket, connect as tlsConnect } from 'node:tls';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { limits } from '../../src/core/limits.ts';
import { peekOpening } from '../../src/net/peek.ts';
import { clientHelloBytes } from '../support/client-hello-bytes.ts';
import { failureCode } from '../support/failure-code.ts';
import { selfSigned } from '../support/self-signed.ts';
import { cut, receiveAll, type SocketPair, sleep, socketPair, writeSegments } from '../support/tcp.ts';

const options = { deadlineMs: 5_000, silenceMs: 2_000 };
let pair: SocketPair;
let hello: Buffer;

beforeAll(async () => {
  hello = await clientHelloBytes();
});
beforeEach(async () => {
  pair = await socketPair();
});
afterEach(() => pair[Symbol.asyncDispose]());

describe('peekOpening', () => {
  it('recognises a post-quantum ClientHello in one segment and puts it back', async () => {
    expect(hello.length).toBeGreaterThan(1_400);
    pair.far.end(hello);
    const { opening, bytes } = await peekOpening(pair.near, options);
    expect(opening).toMatchObject({ kind: 'tls', hello: { serverName: 'origin.example', alpn: ['http/1.1'] } });
    expect(bytes).toEqual(hello);
    expect(await receiveAll(pair.near)).toEqual(hello);
  });

  it('recognises a ClientHello in one-byte segments', async () => {
    const peeked = peekOpening(pair.near, options);
    await writeSegments(pair.far, cut(hello, 1));
    expect(await peeked).toMatchObject({ opening: { kind: 'tls' }, bytes: hello });
    pair.far.end('behind');
    expect(await receiveAll(pair.near)).toEqual(Buffer.concat([hello, Buffer.from('behind')]));
  });

  it('recognises a ClientHello that is cut in two, at every byte of its headers and many behind', async () => {
    // Each cut needs a connection of its own; the parser itself is tested at every byte in test/codec.
    for (let at = 1; at < hello.length; at += at < 64 ? 1 : 41) {
      await using each = await socketPair();
      const peeked = peekOpening(each.near, options);
      await writeSegments(each.far, [hello.subarray(0, at), hello.subarray(at)]);
      expect((await peeked).opening.kind, `cut at ${at}`).toBe('tls');
      each.far.end();
      expect(await receiveAll(each.near), `cut at ${at}`).toEqual(hello);
    }
  });

  it('recognises what has come before it was asked', async () => {
    pair.far.write('GET / HTTP/1.1\r\n');
    await sleep(50);
    expect(await peekOpening(pair.near, options)).toMatchObject({ opening: { kind: 'http1' } });
  });

  it('recognises bytes that were read and put back before', async () => {
    pair.near.unshift(Buffer.from('GET / HTTP/1.1\r\n'));
    expect((await peekOpening(pair.near, options)).opening.kind).toBe('http1');
    pair.near.pause();
    expect((await peekOpening(pair.near, options)).opening.kind).toBe('http1');
  });

  it('says silent when no byte comes', async () => {
    const { opening, bytes } = await peekOpening(pair.near, { deadlineMs: 5_000, silenceMs: 30 });
    expect(opening).toEqual({ kind: 'silent' });
    expect(bytes.length).toBe(0);
    pair.far.write('GET / HTTP/1.1\r\n');
    expect((await peekOpening(pair.near, options)).opening.kind).toBe('http1');
  });

  it('gives a slow opening up at its deadline, counted from its first byte', async () => {
    pair.far.write(hello.subarray(0, 100));
    const startMs = performance.now();
    expect(await failureCode(peekOpening(pair.near, { deadlineMs: 150, silenceMs: 20 }))).toBe(
      'CLIENT_OPENING_TIMEOUT',
    );
    expect(performance.now() - startMs).toBeGreaterThan(100);
  });

  it('refuses an opening that is too large', async () => {
    const fragment = Buffer.concat([Buffer.from([22, 3, 1, 0x40, 0]), Buffer.alloc(16_384)]);
    // A ClientHello of 16 MB: recognition refuses by its header, not after having stored it.
    fragment.set([1, 0xff, 0xff, 0xff], 5);
    const outcome = peekOpening(pair.near, options).then(({ opening }) => opening);
    for (let sent = 0; sent <= limits.openingBytes; sent += fragment.length) pair.far.write(fragment);
    expect(await outcome).toMatchObject({ kind: 'malformed', code: 'CLIENT_OPENING_TOO_LARGE' });
  });

  it('tells a client that is gone: by FIN, by reset, and before it began', async () => {
    const byEnd = peekOpening(pair.near, options);
    pair.far.write(hello.subarray(0, 9));
    pair.far.end();
    expect(await failureCode(byEnd)).toBe('CLIENT_GONE');
    await using reset = await socketPair();
    const byReset = peekOpening(reset.near, options);
    reset.far.write(hello.subarray(0, 9));
    await sleep(20);
    reset.far.resetAndDestroy();
    expect(await failureCode(byReset)).toBe('CLIENT_GONE');
    reset.near.destroy();
    expect(await failureCode(peekOpening(reset.near, options))).toBe('CLIENT_GONE');
  });

  it('leaves no listener behind', async () => {
    const before = pair.near.eventNames().map((name) => [name, pair.near.listenerCount(name)]);
    pair.far.write(hello);
    await peekOpening(pair.near, options);
    expect(pair.near.eventNames().map((name) => [name, pair.near.listenerCount(name)])).toEqual(before);
  });
});

describe('a TLS socket on a peeked connection', () => {
  it.each([1, 3, 500, 100_000])('handshakes and goes on, with the client in segments of %i bytes', async (size) => {
    const context = createSecureContext(await selfSigned('origin.example'));
    const client = tlsConnect({ socket: segmenting(pair, size), rejectUnauthorized: false });
    client.on('error', () => {});
    const { opening } = await peekOpening(pair.near, options);
    expect(opening.kind).toBe('tls');
    // The origin is dialled meanwhile, and the client's side must not be lost.
    await sleep(20);
    const server = new TLSSocket(pair.near, { isServer: true, secureContext: context });
    server.on('data', (chunk: Buffer) => server.write(chunk));
    await once(client, 'secureConnect');
    client.write('ping');
    const [echo] = (await once(client, 'data')) as [Buffer];
    expect(echo.toString()).toBe('ping');
    client.destroy();
    server.destroy();
  });

  it('reads what came behind the ClientHello in the same segment', async () => {
    const context = createSecureContext(await selfSigned('origin.example'));
    // A fatal alert (RFC 8446 section 6): the server sees it only if the bytes behind the hello reach it.
    pair.far.write(Buffer.concat([hello, Buffer.from([21, 3, 3, 0, 2, 2, 48])]));
    await peekOpening(pair.near, options);
    const server = new TLSSocket(pair.near, { isServer: true, secureContext: context });
    const [error] = (await once(server, 'error')) as [NodeJS.ErrnoException];
    expect(error.message).toMatch(/alert unknown ca/i);
  });
});

/** A transport over the far socket that sends in segments of a size. */
function segmenting({ far }: SocketPair, size: number): Duplex {
  const transport = new Duplex({
    read() {},
    write(chunk: Buffer, _encoding, done) {
      writeSegments(far, cut(chunk, size)).then(() => done(), done);
    },
  });
  far.on('data', (chunk: Buffer) => transport.push(chunk));
  return transport;
}
