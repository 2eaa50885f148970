/** Bounds of mail sessions and of mails; part of `limits`. */
export const mailLimits = {
  /** Command line of SMTP: RFC 4954 section 4 asks for 12 288 with an initial response to AUTH. */
  smtpCommandBytes: 12_288,
  /** Line of an AUTH exchange: Kerberos tickets with many groups are the longest known. */
  smtpAuthLineBytes: 65_536,
  /** Line and whole of a reply; RFC 5321 section 4.5.3.1.5 asks for 512 a line, RFC 4954 section 4 for 12 288 of a challenge. */
  smtpReplyLineBytes: 16_384,
  smtpReplyBytes: 65_536,
  /** Commands whose replies are outstanding, RCPTs of one mail mostly; then the client is paused. */
  smtpPipelineDepth: 1_024,
  /** What a client of mail or FTP has sent ahead of an answer that must come first; then it is paused. */
  smtpAheadBytes: 65_536,
  /** Recipients of one mail that rules and records see; the rest is counted. */
  mailRecipients: 1_000,
  /** Head of a mail or of a part; Exim takes 1 MiB, Postfix 100 kB. */
  mailHeadBytes: 262_144,
  /** Multiparts in each other; a chain of forwarded mails with attachments has about 10. */
  mailDepth: 32,
  /** Parts of one mail that are looked at as such; what follows is read as it stands. */
  mailParts: 1_000,
  /** Delimiter line of a multipart: RFC 2046 section 5.1.1 allows 70 characters, with blanks behind them. */
  mailDelimiterBytes: 1_024,
  /** What of one mail waits for its verdict in memory: nearly all mail without attachments, and most with one, is shorter. */
  mailHoldBytes: 1_048_576,
  /** Mails that wait for their verdict in memory, per relay; beyond it further ones wait on disk, or are judged as they pass. */
  mailHeldBytes: 67_108_864,
  /** Bytes that stay back of a mail that rules mask: 1 024 of text as quoted-printable with every byte escaped take 3 200. */
  mailMaskedBytes: 8_192,
  /** Chunks of BDAT that wait, of one mail: Exim and Postfix send one to some hundred. */
  mailChunks: 16_384,
  /** What content scanners said of one mail, in its record; the rest is counted by metrics alone. */
  recordScans: 32,
  /** Bytes of one mail on their way to the disk; then its sender is paused. */
  spoolPendingBytes: 1_048_576,
  /** Read from disk at once: the longest head is whole in the first piece. */
  spoolReadBytes: 327_680,
} as const;
