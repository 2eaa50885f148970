import { HpackDecoder } from '../../../src/codec/hpack-decoder.ts';
import { encodeFields } from '../../../src/codec/hpack-encoder.ts';
import { Http2Field } from '../../../src/codec/http2-field.ts';
import { FrameReader } from '../../../src/codec/http2-frame-reader.ts';
import {
  connectionPreface,
  flags,
  frameTypes,
  headersFrames,
  settingsFrame,
  writeFrameHeader,
} from '../../../src/codec/http2-frames.ts';
import type { Side } from '../../../src/core/side.ts';
import type { Verdict } from '../../../src/core/verdict.ts';
import { createHttp2Relay, type Http2Options } from '../../../src/flow/relay/http2.ts';
import { anotherAddress, type Judge, RecordingInspector, RecordingWire } from './recording.ts';

/** A frame as a test writes and reads it. */
export function frame(type: number, flag: number, streamId: number, payload: Buffer | string = ''): Buffer {
  const bytes = Buffer.from(payload as string, 'latin1');
  const whole = Buffer.alloc(9 + bytes.length);
  writeFrameHeader(whole, 0, bytes.length, type, flag, streamId);
  bytes.copy(whole, 9);
  return whole;
}

export function number(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** SETTINGS with the given ids and values. */
export function settings(...entries: readonly (readonly [id: number, value: number])[]): Buffer {
  return settingsFrame(
    Buffer.concat(entries.map(([id, value]) => Buffer.concat([Buffer.from([id >> 8, id & 0xff]), number(value)]))),
  );
}

/** A window grows. */
export function update(streamId: number, bytes: number): Buffer {
  return frame(frameTypes.windowUpdate, 0, streamId, number(bytes));
}

export const settingsAck = frame(frameTypes.settings, flags.ack, 0);
export const ping = frame(frameTypes.ping, 0, 0, '12345678');

/** HEADERS of fields written as `name=value`, split at the first `=` behind the first character. */
export function headers(streamId: number, fields: readonly string[], endsStream = false): Buffer {
  return headersFrames(streamId, blockOf(fields), endsStream);
}

export function blockOf(fields: readonly string[]): Buffer {
  const parsed = fields.map((entry) => {
    const at = entry.indexOf('=');
    return new Http2Field(entry.slice(0, at), entry.slice(at + 1));
  });
  return Buffer.from(encodeFields(parsed, false));
}

export function data(streamId: number, payload: Buffer | string, endsStream = false): Buffer {
  return frame(frameTypes.data, endsStream ? flags.endStream : 0, streamId, payload);
}

export const get = [':method=GET', ':scheme=https', ':authority=a.example', ':path=/'];
export const post = [':method=POST', ...get.slice(1)];

/** What a side was sent, one line per frame, header blocks decoded. */
export function described(bytes: Buffer): string[] {
  const reader = new FrameReader();
  const decoder = new HpackDecoder();
  const hasPreface = bytes.subarray(0, connectionPreface.length).equals(connectionPreface);
  reader.push(hasPreface ? bytes.subarray(connectionPreface.length) : bytes);
  const lines = hasPreface ? ['preface'] : [];
  while (reader.next()) {
    const { type, streamId, payload, to } = reader;
    const name = Object.entries(frameTypes).find(([, known]) => known === type)?.[0] ?? `type ${type}`;
    const end = (type === 0 || type === 1) && (reader.flags & flags.endStream) !== 0 ? ' END' : '';
    let text = '';
    if (type === frameTypes.headers) {
      const fields = decoder.decode(reader.bytes, payload, to);
      text = decoder.fault !== '' ? decoder.fault : fields.map((field) => `${field.name}=${field.value}`).join(' ');
    } else if (type === frameTypes.data) text = reader.bytes.toString('latin1', payload, to);
    else if (type === frameTypes.rstStream || type === frameTypes.windowUpdate) {
      text = String(reader.bytes.readUInt32BE(payload));
    } else if (type === frameTypes.goaway) {
      text = `${reader.bytes.readUInt32BE(payload)} ${reader.bytes.readUInt32BE(payload + 4)}`;
    } else text = reader.bytes.toString('hex', payload, to);
    lines.push(`${name} ${streamId}${end}${text === '' ? '' : ` ${text}`}`);
  }
  return lines;
}

export interface Http2Recording {
  readonly relay: ReturnType<typeof createHttp2Relay>;
  readonly wire: RecordingWire;
  readonly inspector: RecordingInspector;
  client(...frames: Buffer[]): void;
  origin(...frames: Buffer[]): void;
  /** What a side was sent since it was asked last. */
  taken(side: Side): string[];
}

/** A relay between a recording wire and a recording inspector. */
export function recordHttp2(options: Partial<Http2Options> = {}, judge?: Judge): Http2Recording {
  const wire = new RecordingWire();
  const inspector = new RecordingInspector(judge);
  const relay = createHttp2Relay({
    wire,
    exchange: (depth) => inspector.exchange(depth),
    scheme: 'https',
    upgrades: 'allow',
    flowId: 'flow-1',
    shareKey: anotherAddress(),
    streamIdleMs: 10_000,
    ...options,
  });
  const seen: Record<Side, number> = { client: 0, origin: 0 };
  return {
    relay,
    wire,
    inspector,
    client: (...frames) => relay.receive('client', Buffer.concat(frames)),
    origin: (...frames) => relay.receive('origin', Buffer.concat(frames)),
    taken: (side) => {
      const bytes = wire.bytesTo(side);
      const lines = described(bytes.subarray(seen[side]));
      seen[side] = bytes.length;
      return lines;
    },
  };
}

/** The same, past the preface and the settings of both sides. */
export function openHttp2(
  options: Partial<Http2Options> = {},
  judge?: Judge,
  own: { readonly client?: Buffer; readonly origin?: Buffer } = {},
): Http2Recording {
  const recording = recordHttp2(options, judge);
  recording.client(connectionPreface, own.client ?? settings());
  recording.origin(own.origin ?? settings(), settingsAck);
  recording.client(settingsAck);
  recording.taken('client');
  recording.taken('origin');
  return recording;
}

/** Holds a message as a whole. */
export const keepAll: Verdict = { kind: 'allow', keepBytes: Number.POSITIVE_INFINITY };
