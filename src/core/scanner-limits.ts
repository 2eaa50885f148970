/** Bounds of what is asked of content scanners; part of `limits`. */
export const scannerLimits = {
  /** Head of a content scanner's answer, and the HTTP head in it. */
  scannerHeadBytes: 65_536,
  /** Connections to one content scanner, per relay, where it does not ask for fewer: clamd itself scans ten at once. One client has half at most. */
  scannerConnections: 16,
  /** Messages that one content scanner is shown and that wait for that, per relay; each is held in memory. One client has half at most. */
  scannerQueue: 256,
  /** Longest preview that a content scanner is sent. */
  scannerPreviewBytes: 65_536,
  /** A connection to a content scanner that nothing was asked on for this long is closed. */
  scannerIdleMs: 20_000,
  /** How long what a content scanner says of itself is believed, whatever it says. */
  scannerOptionsMs: 600_000,
} as const;
