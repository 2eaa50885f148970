/**
 * The closed catalogue of failures, sorted by fault. A code is the same in the log, the metric, the page that a
 * client sees and docs/failures.md (a test compares that page with this table).
 */

/** How a failure is told to a client that speaks TLS and has had no answer yet: a TLS alert (RFC 8446 section 6). */
export type AlertName =
  | 'handshake_failure'
  | 'bad_certificate'
  | 'unsupported_certificate'
  | 'certificate_revoked'
  | 'certificate_expired'
  | 'unknown_ca'
  | 'access_denied'
  | 'decode_error'
  | 'protocol_version'
  | 'insufficient_security'
  | 'internal_error'
  | 'missing_extension'
  | 'unrecognized_name'
  | 'no_application_protocol';

export interface Failure {
  /** One sentence for an operator: what happened. */
  readonly meaning: string;
  /** One sentence: what to do about it. */
  readonly remedy: string;
  /** HTTP status when the failure is answered in HTTP (explicit proxy, or a page behind an untrusted leaf). */
  readonly status: number;
  /** TLS alert when the failure is answered to a ClientHello. */
  readonly alert: AlertName;
}

const client = (meaning: string, remedy: string, status = 400, alert: AlertName = 'handshake_failure'): Failure => ({
  meaning,
  remedy,
  status,
  alert,
});
const origin = (meaning: string, remedy: string, status = 502, alert: AlertName = 'internal_error'): Failure => ({
  meaning,
  remedy,
  status,
  alert,
});
const policy = (meaning: string, remedy: string, status = 403, alert: AlertName = 'access_denied'): Failure => ({
  meaning,
  remedy,
  status,
  alert,
});
const gateway = (meaning: string, remedy: string, status = 503, alert: AlertName = 'internal_error'): Failure => ({
  meaning,
  remedy,
  status,
  alert,
});

export const failures = {
  // The client's fault.
  CLIENT_OPENING_TIMEOUT: client(
    'The client sent no complete opening in time.',
    'Look for a slow or stalled client.',
    408,
  ),
  CLIENT_OPENING_TOO_LARGE: client(
    'The ClientHello or first request is longer than the limit.',
    'A sane client stays far below it; see core/limits.ts.',
    431,
    'decode_error',
  ),
  CLIENT_HELLO_MALFORMED: client(
    'The ClientHello cannot be parsed.',
    'The client or something before it sends broken TLS.',
    400,
    'decode_error',
  ),
  CLIENT_SNI_INVALID: client(
    'The server name in the ClientHello is not a valid host name.',
    'Correct the client; such names are refused, never guessed.',
    400,
    'unrecognized_name',
  ),
  CLIENT_ALPN_UNSUPPORTED: client(
    'The client offers only application protocols that cannot be inspected.',
    'Let the client offer http/1.1, or bypass the host.',
    502,
    'no_application_protocol',
  ),
  CLIENT_SIGNATURES_UNSUPPORTED: client(
    'No certificate chain fits the signature algorithms that the client offers.',
    'Use an RSA authority (the default): an ECDSA authority cannot serve RSA-only clients.',
    502,
    'handshake_failure',
  ),
  CLIENT_HANDSHAKE_FAILED: client(
    'The TLS handshake with the client failed.',
    'The record holds the reason; a client that does not trust the CA or pins a certificate ends here.',
  ),
  CLIENT_LEAF_REJECTED: client(
    'The client refused the leaf with a TLS alert.',
    'Install the CA certificate on the client, or bypass hosts that pin their certificate.',
  ),
  CLIENT_HANDSHAKE_TIMEOUT: client(
    'The client did not finish its TLS handshake in time.',
    'Look for a stalled client.',
    408,
  ),
  CLIENT_GONE: client(
    'The client closed or reset the connection before the exchange was complete.',
    'None needed.',
    499,
  ),
  CLIENT_IDLE_TIMEOUT: client(
    'The client stayed silent for longer than the idle limit.',
    'Raise timeouts.idle if it is legitimate.',
    408,
  ),
  CLIENT_NOT_TLS: client(
    'The client does not speak TLS or HTTP where policy demands it.',
    'Allow opaque traffic for this asset, or correct the client.',
    400,
  ),
  CLIENT_HTTP_MALFORMED: client(
    'The request violates HTTP syntax.',
    'Correct the client; an ambiguous message is refused, never guessed (RFC 9112).',
  ),
  CLIENT_HTTP_AMBIGUOUS: client(
    'The request can be read in two ways (framing, Host or line ends).',
    'Correct the client; this is the pattern of request smuggling (RFC 9112 section 11.2).',
  ),
  CLIENT_HTTP_HEAD_TOO_LARGE: client('The request head is larger than the limit.', 'See core/limits.ts.', 431),
  CLIENT_HTTP2_PROTOCOL: client(
    'The client violates HTTP/2 (framing, header compression or stream states).',
    'Correct the client (RFC 9113); the detail names the rule.',
  ),
  CLIENT_HTTP2_FLOOD: client(
    'The client floods its connection with HTTP/2 frames that carry nothing.',
    'Look for a hostile or broken client; see docs/http2.md for the limits.',
    429,
  ),
  CLIENT_HTTP2_RAPID_RESET: client(
    'The client opens and cancels HTTP/2 streams, or has them refused, faster than any honest client.',
    'Look for a hostile client (CVE-2023-44487, CVE-2025-8671); see docs/http2.md for the limits.',
    429,
  ),
  CLIENT_HOARDING: client(
    'The client takes nothing of responses that were held for inspection and let go, while others need their memory, or its address has its share of that memory or of the places at a content scanner.',
    'Look for a hostile or stalled client; see docs/rules.md, docs/http2.md and docs/scanners.md for the limits.',
    429,
  ),
  CLIENT_HTTP_VERSION: client('The HTTP version of the request is not supported.', 'Use HTTP/1.1.', 505),
  CLIENT_HTTP_TIMEOUT: client('The client sent its request too slowly.', 'Look for a slow or hostile client.', 408),
  CLIENT_HOST_MISMATCH: client(
    'The request names a host that does not belong on its connection: the certificate of the origin does not cover it, or policy treats it otherwise than the name that the connection was made for.',
    'Send the request over a connection made for its host, or set hostMismatch: allow for hosts that are not covered.',
    421,
  ),
  CLIENT_PROXY_REQUEST_INVALID: client(
    'The proxy request (CONNECT, absolute form or SOCKS5) is not valid.',
    'Correct the client.',
  ),
  CLIENT_PROXY_AUTH_REQUIRED: client(
    'The proxy asks for a user name and password and did not get the right ones.',
    'Set the credentials in the client.',
    407,
  ),
  CLIENT_PROXY_HEADER_INVALID: client(
    'The PROXY protocol header is missing, malformed or from a source that is not trusted.',
    'Set proxyProtocol and trustedProxies as the load balancer is set.',
  ),
  CLIENT_FTP_AMBIGUOUS: client(
    'A command of the FTP client can be read in two ways (bare CR, LF or NUL).',
    'Correct the client; commands end with CRLF (RFC 959 section 5.3.1).',
  ),
  CLIENT_FTP_BOUNCE: client(
    'The FTP client names a data port that is not its own, or below 1024.',
    'Look for an attacker who wants the origin to connect elsewhere (RFC 2577); transfers between two servers are not supported.',
  ),
  CLIENT_FTP_CROSS_PROTOCOL: client(
    'The client speaks HTTP to an FTP server.',
    'Look for a page that makes browsers post to an FTP port (cross-protocol attack).',
  ),
  CLIENT_FTP_DATA_IDENTITY: client(
    'The data connection does not resume the TLS session of its control connection, as policy demands (files.requireResumption).',
    'Look for somebody who takes files of others; use a client that resumes sessions, or do not demand it.',
  ),
  CLIENT_FTP_DATA_TIMEOUT: client(
    'The FTP client did not open the data connection in time.',
    'Let clients reach the ports of the gateway that it names in answer to PASV and EPSV.',
  ),
  CLIENT_FTP_HIJACK: client(
    'Somebody opened a data connection that belongs to the FTP session of another client, or to one through the explicit proxy by another name of its origin.',
    'Look for who takes files of others; clients behind changing addresses need the same address for both connections.',
    403,
  ),
  CLIENT_FTP_TOO_LARGE: client('A command line of the FTP session is longer than the limit.', 'See core/limits.ts.'),
  CLIENT_FTP_TRUNCATED: client(
    'The data connection of an upload broke off: no close_notify, or a reset.',
    'Check the client and the path to it; what the origin has is not the whole file.',
  ),
  CLIENT_SMTP_AMBIGUOUS: client(
    'What the client sent as mail can be read in two ways (line ends, end of the mail, length of a chunk).',
    'Correct the client; this is the pattern of SMTP smuggling (RFC 5321 section 2.3.8).',
  ),
  CLIENT_SMTP_TOO_LARGE: client('A line of the mail session is longer than the limit.', 'See core/limits.ts.'),
  CLIENT_SMTP_CROSS_PROTOCOL: client(
    'The client speaks HTTP to a mail server.',
    'Look for a page that makes browsers post to a mail port (cross-protocol attack).',
  ),
  CLIENT_UPGRADE_INJECTION: client(
    'The client sent bytes behind its command to go over to TLS, before TLS began; or behind its command to end TLS, before it ended.',
    'Look for an attacker between client and gateway: such bytes are dropped with the flow, never taken for protected ones.',
    400,
    'decode_error',
  ),
  CLIENT_WEBSOCKET_MALFORMED: client(
    'The client breaks the rules of WebSocket frames or of their compression.',
    'Correct the client (RFC 6455, RFC 7692).',
  ),
  CLIENT_WEBSOCKET_TOO_LARGE: client(
    'A compressed WebSocket message of the client is larger than the limit.',
    'See core/limits.ts; uncompressed messages have no limit.',
    413,
  ),
  // The origin's fault.
  ORIGIN_NAME_UNRESOLVED: origin(
    'The name of the origin does not resolve.',
    'Check the name and the resolver of the gateway.',
  ),
  ORIGIN_REFUSED: origin(
    'The origin refused the TCP connection.',
    'Check that the origin is up and the port is right.',
  ),
  ORIGIN_UNREACHABLE: origin('There is no route to the origin.', 'Check routing from the gateway.'),
  ORIGIN_CONNECT_TIMEOUT: origin(
    'The origin did not answer the TCP connection in time.',
    'Check the origin and firewalls.',
    504,
  ),
  ORIGIN_HANDSHAKE_FAILED: origin('The TLS handshake with the origin failed.', 'The record holds the reason.'),
  ORIGIN_HANDSHAKE_TIMEOUT: origin('The origin did not finish its TLS handshake in time.', 'Check the origin.', 504),
  ORIGIN_ALPN_REFUSED: origin(
    'The origin speaks none of the application protocols that the client offers.',
    'Check the client: it may have been led to a server of another protocol (ALPACA).',
    502,
    'no_application_protocol',
  ),
  ORIGIN_NOT_TLS: origin('The origin does not speak TLS on this port.', 'Check port and protocol.'),
  ORIGIN_TLS_TOO_WEAK: origin(
    'The origin offers no TLS version, suite or key that is strong enough.',
    'Renew the origin, or name a per-host exception.',
    502,
    'insufficient_security',
  ),
  ORIGIN_CERT_EXPIRED: origin(
    'A certificate of the origin has expired.',
    'Renew it at the origin.',
    502,
    'certificate_expired',
  ),
  ORIGIN_CERT_NOT_YET_VALID: origin(
    'A certificate of the origin is not yet valid.',
    'Check the clocks.',
    502,
    'certificate_expired',
  ),
  ORIGIN_CERT_SELF_SIGNED: origin(
    'The origin shows a self-signed certificate that is not trusted.',
    'Add it to originTrust.files if it is right.',
    502,
    'unknown_ca',
  ),
  ORIGIN_CERT_UNTRUSTED: origin(
    'The chain of the origin does not lead to a trusted root.',
    'Add the root to originTrust.files, or complete the chain at the origin.',
    502,
    'unknown_ca',
  ),
  ORIGIN_CERT_NAME_MISMATCH: origin(
    'The certificate of the origin does not cover the name that was asked for.',
    'Use a name that the certificate covers.',
    502,
    'bad_certificate',
  ),
  ORIGIN_CERT_REVOKED: origin(
    'A certificate of the origin is revoked.',
    'Replace it at the origin.',
    502,
    'certificate_revoked',
  ),
  ORIGIN_REVOCATION_UNKNOWN: origin(
    'It cannot be found out whether the certificate of the origin is revoked, and policy demands it, or the certificate promises a stapled answer that did not come.',
    'The record holds the reason. Let the gateway reach the CA, or add the host to revocation.overrides with soft-fail.',
    502,
    'bad_certificate',
  ),
  ORIGIN_CERT_PURPOSE: origin(
    'The certificate of the origin may not be used for a TLS server.',
    'Use a certificate with EKU serverAuth that is not a CA.',
    502,
    'unsupported_certificate',
  ),
  ORIGIN_CERT_WEAK: origin(
    'The chain of the origin uses a key or signature that is too weak.',
    'Renew it with RSA 2048 or P-256 and SHA-256 at least.',
    502,
    'insufficient_security',
  ),
  ORIGIN_CERT_OWN_AUTHORITY: origin(
    'The chain of the origin leads to the authority of this gateway, which signs no origins.',
    'Someone uses a leaf or the key of this authority elsewhere: look at the issuance log, and replace the authority if the key is lost.',
    502,
    'unknown_ca',
  ),
  ORIGIN_CERT_DISTRUSTED: origin(
    'The chain of the origin leads to an authority that is known to be abused.',
    'Give the origin another certificate; such an authority is refused even where it is among the trusted roots.',
    502,
    'unknown_ca',
  ),
  ORIGIN_CERT_INVALID: origin(
    'The chain of the origin breaks a rule of RFC 5280.',
    'The record holds the rule.',
    502,
    'bad_certificate',
  ),
  ORIGIN_CLIENT_CERT_REQUIRED: origin(
    'The origin demands a client certificate.',
    'Configure one for the host, or bypass it.',
    502,
    'handshake_failure',
  ),
  ORIGIN_GONE: origin(
    'The origin closed or reset the connection before the exchange was complete.',
    'Check the origin.',
  ),
  ORIGIN_IDLE_TIMEOUT: origin('The origin did not answer in time.', 'Check the origin.', 504),
  ORIGIN_HTTP_MALFORMED: origin('The response violates HTTP syntax.', 'Correct the origin (RFC 9112).'),
  ORIGIN_HTTP_AMBIGUOUS: origin(
    'The response can be read in two ways.',
    'Correct the origin; this is the pattern of response splitting (RFC 9112 section 11.1).',
  ),
  ORIGIN_HTTP2_PROTOCOL: origin(
    'The origin violates HTTP/2 (framing, header compression or stream states).',
    'Correct the origin (RFC 9113); the detail names the rule.',
  ),
  ORIGIN_HTTP2_FLOOD: origin(
    'The origin floods its connection with HTTP/2 frames that carry nothing.',
    'Look for a hostile or broken origin; see docs/http2.md for the limits.',
  ),
  ORIGIN_HOARDING: origin(
    'The origin takes nothing of requests that were held for inspection and let go, while others need their memory.',
    'Check the origin; see docs/rules.md, docs/http2.md and docs/scanners.md for the limits.',
  ),
  ORIGIN_HTTP_HEAD_TOO_LARGE: origin('The response head is larger than the limit.', 'See core/limits.ts.'),
  ORIGIN_HTTP_UNSOLICITED: origin('The origin sent a response that no request asked for.', 'Correct the origin.'),
  ORIGIN_TRUNCATED: origin('The origin ended a message before its end.', 'Check the origin and the path to it.'),
  ORIGIN_UPSTREAM_PROXY: origin(
    'The upstream proxy refused or failed.',
    'Check upstream.proxy, its credentials, and the ports that it allows CONNECT to (docs/protocols.md for those of files).',
  ),
  ORIGIN_FTP_BOUNCE: origin(
    'The FTP server names a data address that is not its own, or a port below 1024.',
    'Set the address that the server gives for PASV (pasv_address, MasqueradeAddress), or files.passiveAddress: ignore.',
  ),
  ORIGIN_FTP_DATA_IDENTITY: origin(
    'The TLS session of a data connection is not of the server of the control connection.',
    'Look for an attacker who took the data port; servers behind a balancer must share certificate and sessions.',
  ),
  ORIGIN_FTP_DATA_TIMEOUT: origin(
    'The FTP server did not open the data connection in time.',
    'Let the origin reach the gateway, or use passive mode.',
  ),
  ORIGIN_FTP_MALFORMED: origin('A reply of the FTP server violates its syntax.', 'Correct the origin (RFC 959).'),
  ORIGIN_FTP_UNSOLICITED: origin(
    'The FTP server sent a reply that no command asked for.',
    'Correct the origin, or look for an attacker before it.',
  ),
  ORIGIN_SMTP_MALFORMED: origin('A reply of the mail server violates SMTP syntax.', 'Correct the origin (RFC 5321).'),
  ORIGIN_SMTP_UNSOLICITED: origin(
    'The mail server sent a reply that no command asked for.',
    'Correct the origin, or look for an attacker before it.',
  ),
  ORIGIN_UPGRADE_INJECTION: origin(
    'The origin sent bytes behind its consent to go over to TLS, before TLS began; or behind its consent to end TLS, before it ended.',
    'Look for an attacker between gateway and origin: such bytes are dropped with the flow, never taken for protected ones.',
  ),
  ORIGIN_WEBSOCKET_MALFORMED: origin(
    'The origin breaks the rules of the WebSocket handshake, of its frames or of their compression.',
    'Correct the origin (RFC 6455, RFC 7692).',
  ),
  ORIGIN_WEBSOCKET_TOO_LARGE: origin(
    'A compressed WebSocket message of the origin is larger than the limit.',
    'See core/limits.ts; uncompressed messages have no limit.',
  ),
  // What policy refuses.
  POLICY_SERVER_NAME_MISSING: policy(
    'The client sends no server name, and policy demands one.',
    'Let the client name the host, bypass the destination, or set tls.requireServerName: false.',
    403,
    'missing_extension',
  ),
  POLICY_RULE_BLOCK: policy('A rule blocked this.', 'The alarm holds the rule id.'),
  POLICY_RULE_RESET: policy('A rule reset this connection.', 'The alarm holds the rule id.'),
  POLICY_BODY_UNDECODABLE: policy(
    'The content coding of a body cannot be undone, and policy refuses what cannot be inspected.',
    'The record says why; correct the peer, or set http.bodies.undecodable: allow.',
  ),
  POLICY_BODY_BOMB: policy(
    'A body costs far more to decode than it took to send, or there is no memory left to decode it.',
    'Tell the owner of the peer; set http.bodies.bombs: allow to let such bodies pass unread.',
  ),
  POLICY_SCANNER_BLOCK: policy(
    'A content scanner found this harmful, or would have replaced it.',
    'The alarm names the scanner and what it found.',
  ),
  POLICY_UNSCANNABLE: policy(
    'A body is longer than a content scanner is given, and policy refuses what is not scanned.',
    'Raise maximumBytes of the scanner, or set onFailure: allow.',
  ),
  POLICY_REFUSED: policy('Policy refuses this destination.', 'See the configuration.'),
  POLICY_LOOP: policy('The destination is the gateway itself.', 'Correct the client or the routing.', 508),
  POLICY_ADMIN_ADDRESS: policy(
    'The destination is the admin address of the gateway.',
    'It is never reachable through the proxy.',
  ),
  POLICY_TLS_REQUIRED: policy(
    'Policy demands TLS, and the client or the origin does without.',
    'Offer STARTTLS at the origin, let the client use it, or set mail.requireTls or files.requireTls to false.',
  ),
  POLICY_UPGRADE_REFUSED: policy('The upgrade to this protocol is refused by policy.', 'Set upgrades: allow for it.'),
  POLICY_QUIC_REFUSED: policy(
    'The client tried QUIC, which is refused so that it falls back to TCP, where it is inspected.',
    'None: clients fall back. Set quic: allow for an asset whose QUIC may pass uninspected.',
  ),
  POLICY_CONNECT_REFUSED: policy(
    'CONNECT inside an inspected connection is refused.',
    'None: it would escape inspection.',
    405,
  ),
  // The gateway's own trouble.
  GATEWAY_LEAF_FAILED: gateway('No leaf could be issued.', 'Look at the log of control and at the authority.'),
  GATEWAY_LEAF_TIMEOUT: gateway('Control did not issue a leaf in time.', 'Look at the load of the gateway.'),
  GATEWAY_OVERLOADED: gateway('A limit of the gateway is reached.', 'See core/limits.ts and the metrics.'),
  GATEWAY_SHUTTING_DOWN: gateway('The gateway is shutting down.', 'Try again.'),
  GATEWAY_INTERNAL: gateway(
    'An error inside the gateway ended this flow.',
    'This is a fault: report it with the record.',
    500,
  ),
  GATEWAY_ORIGINAL_DESTINATION: gateway(
    'The original destination of a redirected connection is unknown.',
    'Connect through the redirection of `daylight net up`, not to the port itself.',
    502,
  ),
  GATEWAY_SOCKET_OPTION: gateway(
    'A socket option that the capture mode needs could not be set.',
    'Run with CAP_NET_ADMIN (and CAP_NET_RAW), or choose another capture mode.',
  ),
  GATEWAY_SCANNER_UNREACHABLE: gateway(
    'A content scanner cannot be reached or ends its connections, and policy refuses what is not scanned.',
    'Start the scanner, check its url, or set onFailure: allow.',
  ),
  GATEWAY_SCANNER_TIMEOUT: gateway(
    'A content scanner did not answer in time, and policy refuses what is not scanned.',
    'Look at the load of the scanner, raise its timeout, or set onFailure: allow.',
    504,
  ),
  GATEWAY_SCANNER_FAILED: gateway(
    'A content scanner answered with an error or not in ICAP, and policy refuses what is not scanned.',
    'The record says how; check the service in its url (RFC 3507).',
  ),
  GATEWAY_RECORDS_UNWRITABLE: gateway(
    'Records cannot be written and policy says to stop.',
    'Free disk space, or set records.onFailure: continue.',
  ),
  GATEWAY_SPOOL_UNWRITABLE: gateway(
    'A mail that waits for its verdict cannot be kept on disk: the sender is asked to try again.',
    'Free disk space, or see the directory of mail.spool.',
  ),
  GATEWAY_PORT_IN_USE: gateway('A listening address is in use.', 'Stop the other program or choose another port.'),
  GATEWAY_LISTEN_DENIED: gateway('A listening address may not be opened.', 'Check the address and the privileges.'),
  GATEWAY_AUTHORITY_KEY: gateway(
    'The key of the authority is missing, unreadable, too widely readable or does not fit its certificate.',
    'Make it mode 0600 in a directory of mode 0700, owned by the user of the gateway.',
  ),
  GATEWAY_CONFIG_INVALID: gateway('The configuration is not valid.', 'Run `daylight check`; nothing was changed.'),
  GATEWAY_RULES_INVALID: gateway('A rule file is not valid.', 'Run `daylight check`; nothing was changed.'),
  GATEWAY_TRUST_INVALID: gateway('A file of trusted roots cannot be used.', 'Check originTrust.files.'),
  GATEWAY_RELAY_CRASHED: gateway(
    'A relay ended unexpectedly; another is started in its place.',
    'This is a fault: report it with the log.',
  ),
} as const satisfies Record<string, Failure>;

/** A code of the catalogue. The prefix says whose fault it is. */
export type FailureCode = keyof typeof failures;

/** Looks a failure up by its code. */
export function failureOf(code: FailureCode): Failure {
  return failures[code];
}

/** An expected failure on its way to the one place that handles it. `detail` is for the record and must hold no secret. */
export class FlowFailure extends Error {
  readonly code: FailureCode;
  readonly detail: string;

  constructor(code: FailureCode, detail = '') {
    super(detail === '' ? code : `${code}: ${detail}`);
    this.code = code;
    this.detail = detail;
  }
}

/** Whatever was thrown, as a failure of the flow. */
export function asFailure(error: unknown): FlowFailure {
  return error instanceof FlowFailure ? error : new FlowFailure('GATEWAY_INTERNAL', String(error));
}
