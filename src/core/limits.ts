import { archiveLimits } from './archive-limits.ts';
import { http2Limits } from './http2-limits.ts';
import { mailLimits } from './mail-limits.ts';
import { scannerLimits } from './scanner-limits.ts';

/**
 * Bounds of every buffer, queue, map, cache and wait on a peer, each with its reason. Units are in the names.
 * Those that an operator may want to change are part of the policy document and start from these.
 */
export const limits = {
  /** A ClientHello with two post-quantum key shares and 60 kB of extensions still fits (TLS handshake messages of real clients stay under 8 KiB). */
  openingBytes: 65_536,
  /** TLS records that one ClientHello may be split over: a 4 KiB hello in records of one byte. Each segment costs a walk over their headers. */
  openingRecords: 4_096,
  /** PROXY protocol header with its TLVs. Load balancers send under 300 bytes; a client certificate in a TLV fits. */
  proxyHeaderBytes: 4_096,
  /** Time for the complete opening, from accept or from the end of the proxy request. */
  openingTimeoutMs: 10_000,
  /** Silence after which the origin is taken to speak first (SMTP, FTP, SSH banners): long enough for a slow ClientHello. */
  silenceMs: 300,
  /** The same where the server is known to greet: only what came with the connection is looked at first. */
  greetedSilenceMs: 1,
  /** Time for which an origin that greeted is dialled at once; one where a client then spoke first is forgotten. */
  greetingMemoryMs: 86_400_000,
  handshakeTimeoutMs: 15_000,
  connectTimeoutMs: 10_000,
  resolveTimeoutMs: 5_000,
  /** Names whose addresses are remembered, per relay: far more than a relay dials within `resolvedNameMs`. */
  resolvedNames: 4_096,
  /** How long addresses of a name are remembered: the loads of one page share a look-up, a moved origin is found soon. */
  resolvedNameMs: 5_000,
  /** The same for names that do not resolve, so that a retrying client does not flood the resolver. */
  unresolvedNameMs: 1_000,
  /** Look-ups under way at once, per relay: each holds or waits for a thread of the pool, so more would only wait out their time. One client has half at most. */
  resolvePending: 128,
  /** Of these asked at once: libuv gives look-ups half of the threads of its pool. The others wait here, each client for its share. */
  resolveAtOnce: 8,
  /** Addresses of one origin that are tried; the rest of a longer answer adds only waiting. */
  dialAddresses: 8,
  /** Head start of one connection attempt before the next address is tried (RFC 8305 section 8 recommends 250 ms). */
  dialAttemptDelayMs: 250,
  /** Reply head of an upstream proxy to CONNECT. */
  proxyReplyBytes: 16_384,
  /** Connections that wait in one listening socket, e.g. while its relay is started again; the kernel cuts it at net.core.somaxconn. */
  listenBacklog: 4_096,
  /** How long the list of the host's own addresses is believed. */
  ownAddressesMs: 5_000,
  leafTimeoutMs: 10_000,
  /** Request or response head. nginx allows 32 KiB, Apache 8 KiB a line; 64 KiB leaves room for large cookies. */
  httpHeadBytes: 65_536,
  httpHeaderCount: 256,
  /** Chunk-size line with extensions (RFC 9112 section 7.1.1): real ones stay under 32 bytes. */
  httpChunkLineBytes: 256,
  httpTrailerBytes: 16_384,
  /** From the first byte of a request head to its last. */
  httpHeadTimeoutMs: 30_000,
  /** Requests in flight on one connection whose responses are outstanding. */
  httpPipelineDepth: 64,
  /** 1xx responses to one request, against a flood. */
  httpInterimResponses: 16,
  /** Data frames up to this length are judged whole before a byte of them is forwarded; those beyond pass in pieces as they are judged. */
  webSocketHeldFrameBytes: 16_384,
  /** Compressed content of one WebSocket message, which is inflated as a whole. */
  webSocketCompressedBytes: 1_048_576,
  /** The same of all messages that are held at once, per relay: 64 of the largest. */
  webSocketCompressedTotalBytes: 67_108_864,
  /** Inflated content of one message: about a tenth of a second of inspection. */
  webSocketInflatedBytes: 16_777_216,
  /** How much larger than its compressed form a message may be, beyond `webSocketInflateFreeBytes`: repetitive JSON reaches 50. */
  webSocketInflateRatio: 100,
  /** Inflated size below which the ratio does not matter. */
  webSocketInflateFreeBytes: 1_048_576,
  /** Messages of one record that are told one by one; further ones are counted. */
  recordMessages: 32,
  /** Bytes of excerpts in one record of messages. */
  recordMessageExcerptBytes: 8_192,
  /** How long messages of one WebSocket gather for one record. */
  recordMessagesMs: 10_000,
  ...mailLimits,
  ...archiveLimits,
  /** FTP: line of a command or reply, and the whole of a reply (STAT of a directory). */
  ftpLineBytes: 8_192,
  ftpReplyBytes: 1_048_576,
  /** Data channels of one relay, of which one client has half at most; how long one waits for its peer, for the receiver to close, for another relay, for ABOR. */
  ftpDataChannels: 1_024,
  ftpDataWaitMs: 60_000,
  ftpDataCloseMs: 2_000,
  ftpHandOverMs: 5_000,
  ftpAbortMs: 10_000,
  /** Data connections of the explicit proxy that all relays know of at once: 16 relays with all their channels. One client has half at most. */
  ftpAppointments: 16_384,
  ...http2Limits,
  /** Packets of decrypted traffic in memory that wait for the disk, per relay. */
  exportQueueBytes: 33_554_432,
  /** Packets that wait for one reader of PCAP-over-IP; one that is slower than that is let go. */
  exportReaderBytes: 16_777_216,
  /** Readers of PCAP-over-IP at once, per relay. */
  exportReaders: 4,
  /** Handshake bytes of one QUIC client that are looked at: a ClientHello with post-quantum key shares is a tenth. */
  quicCryptoBytes: 16_384,
  /** QUIC clients whose ClientHello is awaited, and those that were recorded lately, per relay. */
  quicClients: 1_024,
  /** Initial packets that one relay opens in a second: each costs some 50 µs for its keys, all together a tenth of a core. */
  quicOpenedPerSecond: 2_000,
  /** How long the rest of a ClientHello is awaited. */
  quicHelloMs: 500,
  /** A client that goes on within this time is not recorded again. */
  quicRepeatMs: 10_000,
  /** No byte in either direction. SSE and long polling send keep-alives more often (270 s is the longest known poll). */
  idleTimeoutMs: 330_000,
  /** After one side ended its half, how long the other may go on without a byte. */
  halfCloseTimeoutMs: 60_000,
  /** Bytes queued towards a slow receiver before the sender is paused. */
  sendBufferBytes: 262_144,
  /** Secure contexts with a leaf, per relay: about 60 kB of native memory each. */
  leafCacheEntries: 1_000,
  /** Origins of which something is remembered, per relay and kind: about 100 bytes each. */
  originMemoryEntries: 10_000,
  /** Time after which such an origin is sent the hybrid share unasked again: it may have learned it meanwhile. */
  keyShareMemoryMs: 3_600_000,
  /** Time for which the end of TLS is watched at an origin that ended a body by it. */
  watchedOriginMs: 86_400_000,
  /** How far before now a leaf is valid, where policy backdates it: the skew that Kerberos takes for normal. */
  leafBackdateMs: 300_000,
  /** Leafs being minted or waited for at once, per relay. One client has half at most: whoever waits for the same one takes no place. */
  leafPending: 256,
  /** Names of a certificate that are kept, recorded and mirrored into a leaf; CDN certificates hold some hundreds. */
  certificateNames: 1_000,
  /** Bytes of subjectAltName in a leaf: peers refuse a Certificate message above 100 kB. */
  leafNamesBytes: 49_152,
  /** DER of origin certificates whose facts are remembered, per relay; facts take about three times as much. */
  certificateCacheBytes: 4_194_304,
  /** Certificates that an origin may send; public chains have 2 to 4; the bound leaves room for every cross-sign of a large PKI. */
  chainCertificates: 64,
  /** CAs between leaf and root, those that issued themselves not counted; public chains have 1 to 3. */
  chainIntermediates: 8,
  /** Issuers that are tried while a path is looked for: the longest honest search, over many cross-signs, needs some tens. */
  pathSteps: 512,
  /** Signatures checked in one search; each takes 0.03 to 1 ms, which bounds how long a hostile chain holds up a relay. What was checked once is remembered. */
  pathSignatures: 40,
  /** Pairs of certificates whose signature was checked, per relay. */
  signatureCacheEntries: 16_384,
  /** Names of a certificate times subtrees of a CA: a CA with 100 subtrees over a certificate with 1 000 names fits twice. */
  constraintComparisons: 250_000,
  /** Names in an origin's certificate: those of public CAs hold up to 2 000. */
  subjectNames: 5_000,
  /** An RSA key of an origin's chain: larger ones cost more to use than they protect. */
  rsaBits: 8_192,
  /** Verdicts that are remembered, per relay and policy: each holds its path, some 25 kB of native memory. */
  verdictCacheEntries: 1_024,
  /** Addresses of one missing issuer that are asked; certificates name one or two. */
  issuerAddresses: 4,
  /** What such an address may answer: a certificate, or a bundle of some. */
  issuerBytes: 65_536,
  /** How long a flow waits for a missing issuer, within its handshake limit. */
  issuerWaitMs: 5_000,
  /** Addresses of issuers asked at once by control, and questions of one relay under way. One client has half of either at most. */
  issuerFetches: 64,
  /** How long a fetched issuer is kept, and for how long an address that gave none is left alone. */
  issuerMs: 86_400_000,
  issuerRetryMs: 60_000,
  /** Fetched issuers kept by control: a thousand and more. */
  issuerCacheBytes: 4_194_304,
  /** How long a verdict is believed: within it, an origin's new sessions cost no signature check. */
  verdictMs: 300_000,
  /** Origins that asked for a certificate of the client, per relay. */
  demandMemoryEntries: 1_024,
  /** Longest CRL that is fetched: 10 MB and a little. Larger ones belong to CAs that offer OCSP or split them. */
  crlBytes: 10_485_760,
  /** CRLs that control keeps ready, by their DER; six of the largest. Others are read from disk again. */
  crlMemoryBytes: 62_914_560,
  /** Longest OCSP answer: with a signer and its chain they stay under 8 KiB. */
  ocspBytes: 65_536,
  /** One fetch of a CRL or an OCSP answer, redirects and all. A handshake waits less: `revocation.timeout`. */
  revocationFetchMs: 10_000,
  /** Fetches under way at one host; the others wait, each client for its share. */
  revocationFetchesPerHost: 4,
  /** Certificates that control finds out about at once. One client has half at most. */
  revocationPending: 256,
  /** Findings that control, and each relay, remembers. */
  revocationAnswers: 4_096,
  /** Paths that are asked about for one origin, when a CA of each turns out to be revoked. */
  revocationPaths: 4,
  /** Age at which an answer is asked for anew although its own time is not over: revocations are seen this soon. */
  revocationRefreshMs: 21_600_000,
  /** Time for which a URL that failed, or a certificate of which nothing is known, is left alone. */
  revocationRetryMs: 60_000,
  /** Time for which a relay believes that nothing is known, when control did not answer in time. */
  revocationPauseMs: 10_000,
  /** Questions of a relay that control has not answered. One client has half at most. */
  revocationQuestions: 1_024,
  /** Answers on disk, all together and by number: the oldest go. */
  revocationDiskBytes: 268_435_456,
  revocationFiles: 8_192,
  /** Time between two seals of the issuance log: what was issued since is protected by its chain alone. */
  issuanceSealMs: 10_000,
  /** Size at which the issuance log is set aside and a new file begun. */
  issuanceLogBytes: 67_108_864,
  /** Longest file that is read as PEM or PKCS#12: 2 000 roots fit. */
  credentialFileBytes: 8_388_608,
  /** Flows open at once per relay, if it has descriptors for them; beyond it new ones are refused with GATEWAY_OVERLOADED. */
  flowsPerRelay: 20_000,
  /** Part of what a relay has (flows, memory, room on disk) that one client may take, by `shareKeyOf` (codec/share-key): many may stand behind its address; a quarter is left to all others. */
  clientShare: 0.75,
  /** Excerpt of each body in a traffic record. */
  bodyExcerptBytes: 512,
  /** Longest value of one header in a record; longer ones are cut and marked. */
  recordHeaderValueBytes: 2_048,
  /** Header fields of one head in a record, as JSON; further ones are left out and the record is marked. */
  recordHeadBytes: 16_384,
  /** Heads up to this length are kept for the next record of their connection and direction. */
  recordHeadMemoBytes: 8_192,
  /** Path and query in a record: longer ones are cut and marked. */
  recordTargetBytes: 8_192,
  /** Reasons and details in a record, which may quote a peer. */
  recordDetailBytes: 512,
  /** Subject alternative names of one certificate in a record; the rest is counted. */
  recordCertificateNames: 64,
  /** Header names that are kept as JSON, since they come again in nearly every exchange. */
  recordHeaderCacheBytes: 1_048_576,
  /** Longest line of a log: an OCSF record with both heads and excerpts stays below it. */
  recordLineBytes: 65_536,
  /** Bytes of records in memory that wait for the disk, per relay. */
  recordQueueBytes: 8_388_608,
  /** Bytes of alarms in memory that wait for a disk that does not take them, per relay. */
  alarmQueueBytes: 1_048_576,
  /** Transactions whose lines are made together: the code and tables that make one are in the caches of the processor for the next. */
  recordPendingTransactions: 64,
  /** Least time between two writes of records, and so the longest that one waits in memory: what a relay that is killed loses. */
  recordFlushMs: 10,
  /** Waiting records that are written at once, before their time. */
  recordBatchBytes: 262_144,
  /** Time between two attempts to write to a disk that failed. */
  recordRetryMs: 1_000,
  /** Time between two reports that records cannot be written. */
  recordProblemIntervalMs: 30_000,
  /** Bytes kept before the current chunk so that a match across chunk borders is found, and the window of a regular expression around a literal. */
  ruleWindowBytes: 512,
  /** Content codings of one body that are undone; real ones have one, seldom two. */
  contentCodings: 5,
  /** Times its size that a body may grow when its codings are undone. HTML reaches 30; deflate can reach 1030, the others more. */
  decodedBodyRatio: 200,
  /** Decoded bytes from which the ratio counts: a short run of blanks is no bomb. */
  decodedRatioFromBytes: 4_194_304,
  /** Time spent on undoing the codings of one body. The 64 MiB above take a tenth of it. */
  decodedBodyMs: 2_000,
  /** Native memory of all decoders of a relay: 5 000 of gzip, or 30 with the largest windows of zstd. */
  decoderMemoryBytes: 268_435_456,
  /** Fields or parts of one form, and files of one exchange; PHP takes 1 000 fields. */
  formFields: 1_000,
  /** Value of one form field that rules see; all of the body is seen by the rules on bodies. */
  formValueBytes: 8_192,
  /** Bytes of all messages that wait for a rule, per relay; a message that finds no room is refused. */
  heldBytes: 134_217_728,
  /** What a piece that waits takes beside its bytes, measured at 300 to 350: TLS records of one byte make each a piece. */
  heldPieceBytes: 384,
  ...scannerLimits,
  /** Bytes from the start of what a redact rule masks to where it is known: a window of an expression and the reach of a credential stay below. */
  redactedBytes: 1_024,
  /** Bytes of a coded body, coded or not, that are masked: beyond it a match blocks. Coding so many anew takes a thread of the pool some 30 ms. */
  recodedBytes: 1_048_576,
  /** Pieces that such a body may come in: a thousand of the size of a packet hold the most that may wait. */
  recodedPieces: 4_096,
  /** Files of one exchange in its record. */
  recordFiles: 16,
  /** Alarms of one rule in one transaction; a body full of card numbers is one finding. */
  alarmsPerRuleAndTransaction: 1,
  /** Learned bypasses and the evidence for such, in all: a fleet of hundreds of clients with a dozen pinned hosts each. */
  learnedBypasses: 4_096,
  /** Of one client group: no group takes the place of others. */
  learnedPerGroup: 64,
  /** Rejections of one scope that are kept as evidence; the rest is counted. */
  learnedEvidence: 5,
  /** Rejections that one relay tells control in a second: more teach nothing more. */
  rejectionsToldPerSecond: 50,
  /** Request on the control socket: an id and a duration. */
  controlRequestBytes: 4_096,
  /** Read of a longer one, so that its sender hears that it is too long; beyond it the connection ends. */
  controlDiscardedBytes: 1_048_576,
  /** Relay processes that a configuration may ask for. */
  relays: 64,
  /** Restarts of one relay within a minute before control waits. */
  relayRestartsPerMinute: 10,
  /** A relay whose event loop stands still for longer is counted: by then a person notices it. */
  eventLoopStallMs: 100,
  /** Time that live flows get to end after SIGTERM. */
  drainTimeoutMs: 30_000,
  /** How long a flow that is to end waits for one more request, to answer it with `Connection: close`: a busy client sends one sooner. The clock of flows is true to a second. */
  farewellMs: 1_500,
  /** Time that the flows of replaced relays get to end. */
  handoverTimeoutMs: 3_600_000,
  /** How often relays may be replaced before those whose flows have not ended yet are drained: each takes its memory. */
  relayHandovers: 3,
} as const;
