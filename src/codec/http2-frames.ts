/** Frames of HTTP/2 (RFC 9113 sections 4.1 and 6): numbers, and the few that a gateway writes itself. */

/** RFC 9113 section 3.4. */
export const connectionPreface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');

export const frameHeaderBytes = 9;
/** Every endpoint takes frames of this size (RFC 9113 section 4.2). */
export const commonFrameBytes = 16_384;

export const frameTypes = {
  data: 0,
  headers: 1,
  priority: 2,
  rstStream: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
  /** RFC 7838 section 4. */
  altSvc: 10,
} as const;

export const flags = { endStream: 0x01, ack: 0x01, endHeaders: 0x04, padded: 0x08, priority: 0x20 } as const;

/** RFC 9113 section 7. */
export const http2Errors = {
  noError: 0,
  protocolError: 1,
  internalError: 2,
  flowControlError: 3,
  streamClosed: 5,
  frameSizeError: 6,
  refusedStream: 7,
  cancel: 8,
  compressionError: 9,
  enhanceYourCalm: 11,
} as const;

export type Http2Error = (typeof http2Errors)[keyof typeof http2Errors];

/** Stream ids have 31 bits (RFC 9113 section 5.1.1). */
export const mostStream = 2 ** 31 - 1;
/** Largest flow-control window (RFC 9113 section 6.9.1). */
export const mostWindow = 2 ** 31 - 1;

function frameOf(type: number, flag: number, streamId: number, payloadBytes: number): Buffer {
  const frame = Buffer.allocUnsafe(frameHeaderBytes + payloadBytes);
  writeFrameHeader(frame, 0, payloadBytes, type, flag, streamId);
  return frame;
}

/** Writes a frame header at a position. */
export function writeFrameHeader(
  to: Buffer,
  at: number,
  payloadBytes: number,
  type: number,
  flag: number,
  streamId: number,
): void {
  to[at] = payloadBytes >>> 16;
  to[at + 1] = payloadBytes >>> 8;
  to[at + 2] = payloadBytes;
  to[at + 3] = type;
  to[at + 4] = flag;
  to.writeUInt32BE(streamId, at + 5);
}

export function dataFrame(streamId: number, payload: Buffer, endsStream: boolean): Buffer {
  const frame = frameOf(frameTypes.data, endsStream ? flags.endStream : 0, streamId, payload.length);
  frame.set(payload, frameHeaderBytes);
  return frame;
}

export function rstStreamFrame(streamId: number, error: number): Buffer {
  const frame = frameOf(frameTypes.rstStream, 0, streamId, 4);
  frame.writeUInt32BE(error, frameHeaderBytes);
  return frame;
}

/** On stream 0 it is the connection's window. */
export function windowUpdateFrame(streamId: number, increment: number): Buffer {
  const frame = frameOf(frameTypes.windowUpdate, 0, streamId, 4);
  frame.writeUInt32BE(increment, frameHeaderBytes);
  return frame;
}

export function goawayFrame(lastStreamId: number, error: number): Buffer {
  const frame = frameOf(frameTypes.goaway, 0, 0, 8);
  frame.writeUInt32BE(lastStreamId, frameHeaderBytes);
  frame.writeUInt32BE(error, frameHeaderBytes + 4);
  return frame;
}

export function settingsFrame(payload: Buffer): Buffer {
  const frame = frameOf(frameTypes.settings, 0, 0, payload.length);
  frame.set(payload, frameHeaderBytes);
  return frame;
}

/**
 * HEADERS with as many CONTINUATION frames as the block needs at the size that every endpoint takes. `priority` is the
 * five bytes of a deprecated priority field that the sender wrote; it is passed on.
 */
export function headersFrames(streamId: number, block: Buffer, endsStream: boolean, priority?: Buffer): Buffer {
  const before = priority?.length ?? 0;
  const first = Math.min(block.length, commonFrameBytes - before);
  const more = Math.ceil((block.length - first) / commonFrameBytes);
  const frames = Buffer.allocUnsafe(frameHeaderBytes * (1 + more) + before + block.length);
  let flag = (endsStream ? flags.endStream : 0) | (more === 0 ? flags.endHeaders : 0);
  if (priority !== undefined) flag |= flags.priority;
  writeFrameHeader(frames, 0, before + first, frameTypes.headers, flag, streamId);
  if (priority !== undefined) frames.set(priority, frameHeaderBytes);
  frames.set(more === 0 ? block : block.subarray(0, first), frameHeaderBytes + before);
  let at = frameHeaderBytes + before + first;
  for (let from = first; from < block.length; from += commonFrameBytes) {
    const to = Math.min(block.length, from + commonFrameBytes);
    const isLast = to === block.length ? flags.endHeaders : 0;
    writeFrameHeader(frames, at, to - from, frameTypes.continuation, isLast, streamId);
    frames.set(block.subarray(from, to), at + frameHeaderBytes);
    at += frameHeaderBytes + to - from;
  }
  return frames;
}
