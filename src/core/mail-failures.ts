import type { FailureCode } from './failures.ts';

/**
 * Where a mail client can be told of a failure: in place of the greeting; in place of the consent to STARTTLS; as the greeting
 * behind the leaf of the untrusted authority; at one command; in the session, which ends; in place of
 * the origin's answer to a mail.
 */
export type MailMoment = 'greeting' | 'starttls' | 'warned' | 'command' | 'session' | 'mail';

/** Or by a TLS alert, or not at all: the connection ends. */
export type MailForm = MailMoment | 'alert' | 'cut';

/** Reply and enhanced status code (RFC 5321, RFC 3463) of a failure. What is no matter of policy may be tried again. */
export function mailReply(moment: MailMoment, code: FailureCode): string {
  switch (moment) {
    case 'greeting':
      return code.startsWith('POLICY_') ? '554 5.7.1' : '421 4.4.1';
    case 'starttls':
      // The sender keeps the mail, which is right for a certificate that will be renewed.
      return '454 4.7.5';
    case 'warned':
      return '421 4.7.5';
    case 'command':
      return code === 'POLICY_TLS_REQUIRED' ? '530 5.7.0' : '503 5.5.1';
    case 'session':
      return sessionReplies[code] ?? '421 4.3.0';
    case 'mail':
      return mailReplies[code] ?? (code.startsWith('GATEWAY_') ? '451 4.7.1' : '554 5.7.1');
  }
}

const sessionReplies: Readonly<Partial<Record<FailureCode, string>>> = {
  CLIENT_IDLE_TIMEOUT: '421 4.4.2',
  CLIENT_SMTP_AMBIGUOUS: '521 5.5.2',
  CLIENT_SMTP_CROSS_PROTOCOL: '421 4.7.0',
  CLIENT_SMTP_TOO_LARGE: '500 5.5.6',
  CLIENT_UPGRADE_INJECTION: '554 5.7.0',
  GATEWAY_SHUTTING_DOWN: '421 4.3.2',
  ORIGIN_GONE: '421 4.4.2',
  ORIGIN_IDLE_TIMEOUT: '421 4.4.2',
  POLICY_TLS_REQUIRED: '421 4.7.4',
};

const mailReplies: Readonly<Partial<Record<FailureCode, string>>> = {
  CLIENT_HOARDING: '451 4.7.1',
  CLIENT_SMTP_TOO_LARGE: '552 5.3.4',
  POLICY_RULE_BLOCK: '550 5.7.1',
};

const none: readonly MailForm[] = [];
const alert: readonly MailForm[] = ['alert'];
const cut: readonly MailForm[] = ['cut'];
const dial: readonly MailForm[] = ['greeting', 'alert'];
const check: readonly MailForm[] = ['starttls', 'warned', 'alert'];
const mail: readonly MailForm[] = ['mail'];
const session: readonly MailForm[] = ['session'];

/** The forms that each failure can have in mail; none where it is one of another protocol, or of the start. */
export const mailForms: Readonly<Record<FailureCode, readonly MailForm[]>> = {
  CLIENT_ALPN_UNSUPPORTED: ['alert', 'cut'],
  CLIENT_FTP_AMBIGUOUS: none,
  CLIENT_FTP_BOUNCE: none,
  CLIENT_FTP_CROSS_PROTOCOL: none,
  CLIENT_FTP_DATA_IDENTITY: none,
  CLIENT_FTP_DATA_TIMEOUT: none,
  CLIENT_FTP_HIJACK: none,
  CLIENT_FTP_TOO_LARGE: none,
  CLIENT_FTP_TRUNCATED: none,
  CLIENT_GONE: cut,
  CLIENT_HANDSHAKE_FAILED: alert,
  CLIENT_HANDSHAKE_TIMEOUT: alert,
  CLIENT_HELLO_MALFORMED: alert,
  CLIENT_HOST_MISMATCH: none,
  CLIENT_HTTP2_FLOOD: none,
  CLIENT_HOARDING: mail,
  CLIENT_HTTP2_PROTOCOL: none,
  CLIENT_HTTP2_RAPID_RESET: none,
  CLIENT_HTTP_AMBIGUOUS: none,
  CLIENT_HTTP_HEAD_TOO_LARGE: none,
  CLIENT_HTTP_MALFORMED: none,
  CLIENT_HTTP_TIMEOUT: none,
  CLIENT_HTTP_VERSION: none,
  CLIENT_IDLE_TIMEOUT: session,
  CLIENT_LEAF_REJECTED: alert,
  CLIENT_NOT_TLS: cut,
  CLIENT_OPENING_TIMEOUT: cut,
  CLIENT_OPENING_TOO_LARGE: cut,
  CLIENT_PROXY_AUTH_REQUIRED: none,
  CLIENT_PROXY_HEADER_INVALID: cut,
  CLIENT_PROXY_REQUEST_INVALID: none,
  CLIENT_SIGNATURES_UNSUPPORTED: alert,
  CLIENT_SMTP_AMBIGUOUS: ['session', 'command'],
  CLIENT_SMTP_CROSS_PROTOCOL: session,
  CLIENT_SMTP_TOO_LARGE: ['session', 'mail'],
  CLIENT_SNI_INVALID: alert,
  CLIENT_UPGRADE_INJECTION: ['session', 'starttls', 'alert'],
  CLIENT_WEBSOCKET_MALFORMED: none,
  CLIENT_WEBSOCKET_TOO_LARGE: none,
  GATEWAY_AUTHORITY_KEY: none,
  GATEWAY_CONFIG_INVALID: none,
  GATEWAY_INTERNAL: ['greeting', 'starttls', 'alert', 'cut'],
  GATEWAY_LEAF_FAILED: alert,
  GATEWAY_LEAF_TIMEOUT: alert,
  GATEWAY_LISTEN_DENIED: none,
  GATEWAY_ORIGINAL_DESTINATION: cut,
  GATEWAY_OVERLOADED: ['mail', 'cut'],
  GATEWAY_PORT_IN_USE: none,
  GATEWAY_RECORDS_UNWRITABLE: ['greeting', 'alert', 'cut'],
  GATEWAY_RELAY_CRASHED: cut,
  GATEWAY_RULES_INVALID: none,
  GATEWAY_SCANNER_FAILED: mail,
  GATEWAY_SCANNER_TIMEOUT: mail,
  GATEWAY_SCANNER_UNREACHABLE: mail,
  GATEWAY_SHUTTING_DOWN: ['session', 'cut'],
  GATEWAY_SOCKET_OPTION: dial,
  GATEWAY_SPOOL_UNWRITABLE: mail,
  GATEWAY_TRUST_INVALID: none,
  ORIGIN_ALPN_REFUSED: check,
  ORIGIN_CERT_DISTRUSTED: check,
  ORIGIN_CERT_EXPIRED: check,
  ORIGIN_CERT_INVALID: check,
  ORIGIN_CERT_NAME_MISMATCH: check,
  ORIGIN_CERT_NOT_YET_VALID: check,
  ORIGIN_CERT_OWN_AUTHORITY: check,
  ORIGIN_CERT_PURPOSE: check,
  ORIGIN_CERT_REVOKED: check,
  ORIGIN_CERT_SELF_SIGNED: check,
  ORIGIN_CERT_UNTRUSTED: check,
  ORIGIN_CERT_WEAK: check,
  ORIGIN_CLIENT_CERT_REQUIRED: check,
  ORIGIN_CONNECT_TIMEOUT: dial,
  ORIGIN_FTP_BOUNCE: none,
  ORIGIN_FTP_DATA_IDENTITY: none,
  ORIGIN_FTP_DATA_TIMEOUT: none,
  ORIGIN_FTP_MALFORMED: none,
  ORIGIN_FTP_UNSOLICITED: none,
  ORIGIN_GONE: ['session', 'starttls', 'alert'],
  ORIGIN_HANDSHAKE_FAILED: check,
  ORIGIN_HANDSHAKE_TIMEOUT: check,
  ORIGIN_HTTP2_FLOOD: none,
  ORIGIN_HOARDING: none,
  ORIGIN_HTTP2_PROTOCOL: none,
  ORIGIN_HTTP_AMBIGUOUS: none,
  ORIGIN_HTTP_HEAD_TOO_LARGE: none,
  ORIGIN_HTTP_MALFORMED: none,
  ORIGIN_HTTP_UNSOLICITED: none,
  ORIGIN_IDLE_TIMEOUT: session,
  ORIGIN_NAME_UNRESOLVED: dial,
  ORIGIN_NOT_TLS: check,
  ORIGIN_REFUSED: dial,
  ORIGIN_REVOCATION_UNKNOWN: check,
  ORIGIN_SMTP_MALFORMED: session,
  ORIGIN_SMTP_UNSOLICITED: session,
  ORIGIN_TLS_TOO_WEAK: check,
  ORIGIN_TRUNCATED: none,
  ORIGIN_UNREACHABLE: dial,
  ORIGIN_UPGRADE_INJECTION: ['starttls'],
  ORIGIN_UPSTREAM_PROXY: dial,
  ORIGIN_WEBSOCKET_MALFORMED: none,
  ORIGIN_WEBSOCKET_TOO_LARGE: none,
  POLICY_ADMIN_ADDRESS: dial,
  POLICY_BODY_BOMB: none,
  POLICY_BODY_UNDECODABLE: none,
  POLICY_CONNECT_REFUSED: none,
  POLICY_LOOP: dial,
  POLICY_QUIC_REFUSED: none,
  POLICY_REFUSED: dial,
  POLICY_RULE_BLOCK: mail,
  POLICY_RULE_RESET: cut,
  POLICY_SCANNER_BLOCK: mail,
  POLICY_TLS_REQUIRED: ['session', 'command'],
  POLICY_UNSCANNABLE: mail,
  POLICY_SERVER_NAME_MISSING: alert,
  POLICY_UPGRADE_REFUSED: none,
};
