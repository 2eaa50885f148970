import type { FrameReader } from './http2-frame-reader.ts';
import { flags, frameTypes, type Http2Error, http2Errors } from './http2-frames.ts';

/** Why a frame is wrong in itself, and the error that answers it. */
export interface FrameFault {
  readonly error: Http2Error;
  readonly detail: string;
}

/** Checks size and stream of a frame (RFC 9113 section 6); undefined when they are right or its type is unknown. */
export function frameFault(frame: FrameReader): FrameFault | undefined {
  const { type, streamId } = frame;
  const bytes = frame.to - frame.payload;
  switch (type) {
    case frameTypes.data:
    case frameTypes.headers:
    case frameTypes.continuation:
      return streamId === 0 ? protocolFault(`frame type ${type} on stream 0`) : undefined;
    case frameTypes.priority:
      return (
        onStream(frame, 5) ?? (dependsOnItself(frame) ? protocolFault('a stream that depends on itself') : undefined)
      );
    case frameTypes.rstStream:
      return onStream(frame, 4);
    case frameTypes.settings:
      if (streamId !== 0) return protocolFault('SETTINGS on a stream');
      return (frame.flags & flags.ack) !== 0 && bytes > 0 ? sizeFault(type) : undefined;
    case frameTypes.pushPromise:
      return protocolFault('a push, which is switched off');
    case frameTypes.ping:
      if (streamId !== 0) return protocolFault('PING on a stream');
      return bytes === 8 ? undefined : sizeFault(type);
    case frameTypes.goaway:
      if (streamId !== 0) return protocolFault('GOAWAY on a stream');
      return bytes < 8 ? sizeFault(type) : undefined;
    case frameTypes.windowUpdate:
      if (bytes !== 4) return sizeFault(type);
      return (frame.bytes.readUInt32BE(frame.payload) & 0x7fffffff) === 0
        ? protocolFault('a WINDOW_UPDATE of nothing')
        : undefined;
    default:
      return undefined;
  }
}

function onStream(frame: FrameReader, bytes: number): FrameFault | undefined {
  if (frame.streamId === 0) return protocolFault(`frame type ${frame.type} on stream 0`);
  return frame.to - frame.payload === bytes ? undefined : sizeFault(frame.type);
}

function dependsOnItself(frame: FrameReader): boolean {
  return (frame.bytes.readUInt32BE(frame.payload) & 0x7fffffff) === frame.streamId;
}

function protocolFault(detail: string): FrameFault {
  return { error: http2Errors.protocolError, detail };
}

function sizeFault(type: number): FrameFault {
  return { error: http2Errors.frameSizeError, detail: `a frame of type ${type} and wrong size` };
}
