/** Bounds of HTTP/2 connections; part of `limits`. */
export const http2Limits = {
  /** Frames that one header block may be cut into (RFC 9113 section 6.10); four hold the largest head that is taken. */
  http2HeaderFrames: 32,
  /** Dynamic table of either direction: what browsers ask for. Each entry takes some hundred bytes of memory. */
  http2TableBytes: 65_536,
  /** Streams open at once on a connection. Servers allow 100 to 250, few know no limit. */
  http2Streams: 1_000,
  /** SETTINGS frames of one side that the other has not acknowledged. */
  http2PendingSettings: 16,
  /** DATA that is dropped costs its sender something below this size; larger ones are bounded by the windows. */
  http2SmallDataBytes: 1_024,
  /** Streams that were reset, per connection and side, whose late frames are still expected and dropped. */
  http2ResetMemory: 1_000,
  /** Frames that carry nothing (PING, SETTINGS, PRIORITY, WINDOW_UPDATE, empty DATA ...) which a side may send ahead of those that do. */
  http2EmptyFrames: 1_000,
  /** The same, at most, however much was earned by DATA and HEADERS: what a burst of those may be answered with. */
  http2EmptyFramesMost: 20_000,
  http2EmptyFramesPerSecond: 100,
  /** Streams of a connection that may be reset or refused at once: a page that is left, a player that seeks. As in nghttp2. */
  http2Resets: 1_000,
  http2ResetsPerSecond: 33,
  /** What waits in the messages of one connection, for a rule, a scanner or a window: half of `heldBytes`, so that none takes all. */
  http2HeldBytes: 67_108_864,
  /** How long a side may take nothing of what waits for it alone, before others that need the memory get it: a path that fails over takes less. */
  heldStallMs: 5_000,
  /** Taking nothing is to take less in that time than this part of a message: 130 kB of one of 8 MiB. */
  heldStallShare: 64,
} as const;
