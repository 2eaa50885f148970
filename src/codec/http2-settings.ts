import { initialTableBytes } from './hpack-decoder.ts';
import { commonFrameBytes, type Http2Error, http2Errors, mostWindow } from './http2-frames.ts';

/** RFC 9113 section 6.5.2, RFC 8441 section 3. */
const settingIds = {
  headerTableSize: 1,
  enablePush: 2,
  maxConcurrentStreams: 3,
  initialWindowSize: 4,
  maxFrameSize: 5,
  enableConnectProtocol: 8,
} as const;

const settingBytes = 6;
const mostFrame = 2 ** 24 - 1;

/** The settings of one endpoint that bind whoever stands between it and its peer. */
export interface Http2Settings {
  readonly headerTableBytes: number;
  readonly initialWindow: number;
  readonly mostFrameBytes: number;
  readonly allowsConnect: boolean;
}

export const initialSettings: Http2Settings = {
  headerTableBytes: initialTableBytes,
  initialWindow: 65_535,
  mostFrameBytes: commonFrameBytes,
  allowsConnect: false,
};

/** What a gateway changes in the settings that it passes on. */
export interface SettingsLimits {
  readonly headerTableBytes: number;
  /** Undefined where the endpoint's own number stands. */
  readonly concurrentStreams: number | undefined;
  /** The sender is the client: pushes are refused for it. */
  readonly refusesPush: boolean;
  readonly allowsConnect: boolean;
}

export interface ReadSettings {
  readonly settings: Http2Settings;
  /** Payload to pass on. */
  readonly payload: Buffer;
  readonly isChanged: boolean;
  /** Empty, or why the settings are wrong, and the error that answers them. */
  readonly fault: string;
  readonly error: Http2Error;
}

/**
 * Reads a SETTINGS payload over the settings known before, and limits what is passed on of it. In the first frame of an
 * endpoint, what it does not say is said for it, since the defaults (pushes, any number of streams) are no limits.
 */
export function readSettings(
  received: Buffer,
  before: Http2Settings,
  limited: SettingsLimits,
  isFirst: boolean,
): ReadSettings {
  let { headerTableBytes, initialWindow, mostFrameBytes, allowsConnect } = before;
  let payload = received;
  let fault = received.length % settingBytes === 0 ? '' : 'a SETTINGS frame of odd size';
  let error: Http2Error = fault === '' ? http2Errors.protocolError : http2Errors.frameSizeError;
  const seen = new Set<number>();
  const change = (at: number, value: number): void => {
    if (payload === received) payload = Buffer.from(received);
    payload.writeUInt32BE(value, at + 2);
  };
  for (let at = 0; at + settingBytes <= received.length && fault === ''; at += settingBytes) {
    const id = received.readUInt16BE(at);
    const value = received.readUInt32BE(at + 2);
    seen.add(id);
    switch (id) {
      case settingIds.headerTableSize:
        headerTableBytes = Math.min(value, limited.headerTableBytes);
        if (headerTableBytes !== value) change(at, headerTableBytes);
        break;
      case settingIds.enablePush:
        if (value > 1 || (value === 1 && !limited.refusesPush)) fault = 'a wrong SETTINGS_ENABLE_PUSH';
        else if (value === 1) change(at, 0);
        break;
      case settingIds.maxConcurrentStreams:
        if (limited.concurrentStreams !== undefined && value > limited.concurrentStreams) {
          change(at, limited.concurrentStreams);
        }
        break;
      case settingIds.initialWindowSize:
        initialWindow = value;
        if (value <= mostWindow) break;
        fault = 'a SETTINGS_INITIAL_WINDOW_SIZE that is too large';
        error = http2Errors.flowControlError;
        break;
      case settingIds.maxFrameSize:
        mostFrameBytes = value;
        if (value < commonFrameBytes || value > mostFrame) fault = 'a wrong SETTINGS_MAX_FRAME_SIZE';
        break;
      case settingIds.enableConnectProtocol:
        if (value > 1 || (value === 0 && before.allowsConnect)) fault = 'a wrong SETTINGS_ENABLE_CONNECT_PROTOCOL';
        allowsConnect = value === 1 && limited.allowsConnect;
        if (value === 1 && !allowsConnect) change(at, 0);
    }
  }
  if (isFirst) payload = completed(payload, seen, limited);
  return {
    settings: { headerTableBytes, initialWindow, mostFrameBytes, allowsConnect },
    payload,
    isChanged: payload !== received,
    fault,
    error,
  };
}

function completed(payload: Buffer, seen: ReadonlySet<number>, limited: SettingsLimits): Buffer {
  const added: Buffer[] = [];
  if (limited.refusesPush && !seen.has(settingIds.enablePush)) added.push(settingOf(settingIds.enablePush, 0));
  if (limited.concurrentStreams !== undefined && !seen.has(settingIds.maxConcurrentStreams)) {
    added.push(settingOf(settingIds.maxConcurrentStreams, limited.concurrentStreams));
  }
  return added.length === 0 ? payload : Buffer.concat([payload, ...added]);
}

function settingOf(id: number, value: number): Buffer {
  const setting = Buffer.allocUnsafe(settingBytes);
  setting.writeUInt16BE(id, 0);
  setting.writeUInt32BE(value, 2);
  return setting;
}
