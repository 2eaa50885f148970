import { Duplex } from 'node:stream';
import { connect } from 'node:tls';

export type Extension = readonly [type: number, body: Buffer];

export interface HelloParts {
  readonly legacyVersion?: number;
  readonly sessionId?: Buffer;
  readonly cipherSuites?: readonly number[];
  readonly compression?: Buffer;
  /** Undefined leaves the whole block out, as SSL 3.0 does. */
  readonly extensions?: readonly Extension[] | undefined;
}

/** A ClientHello message with its header of four bytes. */
export function clientHello(parts: HelloParts = {}): Buffer {
  const { legacyVersion = 0x0303, sessionId = Buffer.alloc(0), cipherSuites = [0x1301] } = parts;
  const { compression = Buffer.from([0]), extensions = [] } = parts;
  const block = 'extensions' in parts && parts.extensions === undefined ? [] : [sized16(...extensions.map(extension))];
  const body = Buffer.concat([
    u16(legacyVersion),
    Buffer.alloc(32, 0x5a),
    sized8(sessionId),
    sized16(...cipherSuites.map(u16)),
    sized8(compression),
    ...block,
  ]);
  return handshakeMessage(1, body);
}

export function handshakeMessage(type: number, body: Buffer): Buffer {
  return Buffer.concat([Buffer.from([type, body.length >> 16, (body.length >> 8) & 0xff, body.length & 0xff]), body]);
}

/** Handshake records of at most `recordBytes` each. */
export function inRecords(message: Buffer, recordBytes = 16_384): Buffer {
  const records: Buffer[] = [];
  for (let at = 0; at < message.length; at += recordBytes) {
    const fragment = message.subarray(at, at + recordBytes);
    records.push(Buffer.from([22, 3, 1, fragment.length >> 8, fragment.length & 0xff]), fragment);
  }
  return Buffer.concat(records);
}

export function u16(value: number): Buffer {
  return Buffer.from([value >> 8, value & 0xff]);
}
export function sized8(...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  return Buffer.concat([Buffer.from([body.length]), body]);
}
export function sized16(...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  return Buffer.concat([u16(body.length), body]);
}
function extension([type, body]: Extension): Buffer {
  return Buffer.concat([u16(type), sized16(body)]);
}

/** server_name with one entry per name. */
export function serverNames(...names: readonly (string | Buffer)[]): Extension {
  const entries = names.map((name) =>
    Buffer.concat([Buffer.from([0]), sized16(Buffer.from(name as string, 'latin1'))]),
  );
  return [0, sized16(...entries)];
}
export function alpn(...names: readonly (string | Buffer)[]): Extension {
  return [16, sized16(...names.map((name) => sized8(Buffer.from(name as string, 'latin1'))))];
}
export function list16(type: number, ...values: readonly number[]): Extension {
  return [type, sized16(...values.map(u16))];
}
export function supportedVersions(...values: readonly number[]): Extension {
  return [43, sized8(...values.map(u16))];
}

/** The first flight of the TLS client of this very Node, taken from the wire. */
export async function firstFlightOfNode(ecdhCurve: string): Promise<Buffer> {
  const flight: Buffer[] = [];
  const transport = new Duplex({
    read() {},
    write(chunk: Buffer, _encoding, done) {
      flight.push(chunk);
      done();
    },
  });
  const client = connect({
    socket: transport,
    servername: 'real.example',
    ALPNProtocols: ['h2', 'http/1.1'],
    ecdhCurve,
  });
  client.on('error', () => {});
  while (flight.length === 0) await new Promise((resolve) => setImmediate(resolve));
  client.destroy();
  return Buffer.concat(flight);
}
