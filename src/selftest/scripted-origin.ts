import { createServer, type Socket } from 'node:net';
import { type FarmOrigin, openOrigin } from './farm-origin.ts';

/** What an origin without any TLS of its own does with a connection, once the first bytes of the gateway are there. */
export type Script = (socket: Socket, hello: Buffer) => void;

/** Starts it. It never agrees on keys, so application bytes are those in records of application data, or beyond TLS. */
export function openScriptedOrigin(script: Script): Promise<FarmOrigin> {
  let bytes = 0;
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.once('data', (hello: Buffer) => {
      if (hello[0] !== 22) bytes += hello.length;
      script(socket, hello);
      socket.on('data', (chunk: Buffer) => {
        // Alerts (21) and what belongs to a handshake (20, 22) are no application bytes.
        if (chunk[0] === undefined || chunk[0] < 20 || chunk[0] > 22) bytes += chunk.length;
      });
    });
    socket.on('end', () => socket.end());
  });
  return openOrigin(server, () => bytes);
}

/** What a ServerHello of TLS 1.2 or older says (RFC 5246 section 7.4.1.3). */
export interface ScriptedHello {
  readonly version?: number;
  readonly suite?: number;
  readonly compression?: number;
  readonly random?: Buffer;
  /** Whole extensions; by default secure renegotiation (RFC 5746) and extended master secret (RFC 7627). */
  readonly extensions?: Buffer;
}

/** ECDHE-RSA-AES128-GCM-SHA256, which the gateway offers. */
const offeredSuite = 0xc02f;
const usualExtensions = Buffer.from('ff01000100' + '00170000', 'hex');

/** A record with a ServerHello. */
export function serverHello(says: ScriptedHello): Buffer {
  const { version = 0x0303, suite = offeredSuite, compression = 0, extensions = usualExtensions } = says;
  const body = Buffer.concat([
    shortOf(version),
    says.random ?? Buffer.alloc(32, 7),
    Buffer.of(0),
    shortOf(suite),
    Buffer.of(compression),
    ...(extensions.length === 0 ? [] : [shortOf(extensions.length), extensions]),
  ]);
  return record(22, version, Buffer.concat([Buffer.of(2, 0), shortOf(body.length), body]));
}

/** Answers with bytes, and then waits for what the gateway says to them. */
export function answers(bytes: Buffer | string): Script {
  return (socket) => void socket.write(bytes);
}

/** A TLS record. */
export function record(type: number, version: number, content: Buffer): Buffer {
  return Buffer.concat([Buffer.of(type), shortOf(version), shortOf(content.length), content]);
}

function shortOf(number: number): Buffer {
  return Buffer.of(number >> 8, number & 0xff);
}
