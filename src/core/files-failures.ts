import type { FailureCode } from './failures.ts';

/**
 * Where an FTP client can be told of a failure: in place of the greeting; in place of the consent to AUTH TLS or CCC; at one command;
 * in place of a data port; for one transfer; in the session, which ends.
 */
export type FilesMoment = 'greeting' | 'auth' | 'command' | 'port' | 'transfer' | 'session';

/** Or by a TLS alert, or not at all: the connection ends. */
export type FilesForm = FilesMoment | 'alert' | 'cut';

/** Reply code of a failure (RFC 959, RFC 2228). */
export function filesReply(moment: FilesMoment, code: FailureCode): number {
  switch (moment) {
    case 'greeting':
    case 'auth':
    case 'session':
      return 421;
    case 'command':
      return code === 'POLICY_TLS_REQUIRED' ? 530 : 500;
    case 'port':
      return 425;
    case 'transfer':
      return transferReplies[code] ?? (code.startsWith('POLICY_') ? 550 : 426);
  }
}

/** What the gateway cannot do now may be tried again; a file that is too large for a scanner stays so. */
const transferReplies: Readonly<Partial<Record<FailureCode, number>>> = {
  CLIENT_FTP_DATA_IDENTITY: 522,
  CLIENT_HOARDING: 451,
  GATEWAY_OVERLOADED: 451,
  GATEWAY_SCANNER_FAILED: 451,
  GATEWAY_SCANNER_TIMEOUT: 451,
  GATEWAY_SCANNER_UNREACHABLE: 451,
  POLICY_TLS_REQUIRED: 522,
  POLICY_UNSCANNABLE: 552,
};

const none: readonly FilesForm[] = [];
const cut: readonly FilesForm[] = ['cut'];
const alert: readonly FilesForm[] = ['alert'];
const dial: readonly FilesForm[] = ['greeting', 'alert', 'transfer'];
const check: readonly FilesForm[] = ['auth', 'alert'];
const session: readonly FilesForm[] = ['session'];
const port: readonly FilesForm[] = ['port'];
/** Behind a proxy what is dialled for data is dialled ahead of them. */
const dialOrPort: readonly FilesForm[] = [...dial, 'port'];
const transfer: readonly FilesForm[] = ['transfer'];
const handshake: readonly FilesForm[] = ['alert', 'transfer'];

/** The forms that a failure can have in files; one that is not named cannot come up there. */
const forms: Readonly<Partial<Record<FailureCode, readonly FilesForm[]>>> = {
  CLIENT_ALPN_UNSUPPORTED: ['alert', 'cut'],
  CLIENT_FTP_AMBIGUOUS: session,
  CLIENT_FTP_BOUNCE: ['command'],
  CLIENT_FTP_CROSS_PROTOCOL: session,
  CLIENT_FTP_DATA_IDENTITY: transfer,
  CLIENT_FTP_DATA_TIMEOUT: transfer,
  CLIENT_FTP_HIJACK: cut,
  CLIENT_FTP_TOO_LARGE: session,
  CLIENT_FTP_TRUNCATED: transfer,
  CLIENT_GONE: ['cut', 'transfer'],
  CLIENT_HANDSHAKE_FAILED: handshake,
  CLIENT_HANDSHAKE_TIMEOUT: ['alert', 'transfer', 'cut'],
  CLIENT_HELLO_MALFORMED: alert,
  CLIENT_HOARDING: transfer,
  CLIENT_IDLE_TIMEOUT: session,
  CLIENT_LEAF_REJECTED: alert,
  CLIENT_OPENING_TIMEOUT: ['cut', 'transfer'],
  CLIENT_OPENING_TOO_LARGE: ['cut', 'transfer'],
  CLIENT_PROXY_HEADER_INVALID: cut,
  CLIENT_SIGNATURES_UNSUPPORTED: alert,
  CLIENT_SNI_INVALID: alert,
  CLIENT_UPGRADE_INJECTION: ['session', 'auth', 'alert'],
  GATEWAY_INTERNAL: ['greeting', 'auth', 'alert', 'port', 'transfer', 'cut'],
  GATEWAY_LEAF_FAILED: alert,
  GATEWAY_LEAF_TIMEOUT: alert,
  GATEWAY_LISTEN_DENIED: port,
  GATEWAY_ORIGINAL_DESTINATION: cut,
  GATEWAY_OVERLOADED: ['port', 'transfer', 'cut'],
  GATEWAY_PORT_IN_USE: port,
  GATEWAY_RECORDS_UNWRITABLE: ['greeting', 'alert', 'cut'],
  GATEWAY_RELAY_CRASHED: cut,
  GATEWAY_SCANNER_FAILED: transfer,
  GATEWAY_SCANNER_TIMEOUT: transfer,
  GATEWAY_SCANNER_UNREACHABLE: transfer,
  GATEWAY_SHUTTING_DOWN: ['session', 'cut'],
  GATEWAY_SOCKET_OPTION: dial,
  ORIGIN_ALPN_REFUSED: check,
  ORIGIN_CLIENT_CERT_REQUIRED: check,
  ORIGIN_CONNECT_TIMEOUT: dial,
  ORIGIN_FTP_BOUNCE: port,
  ORIGIN_FTP_DATA_IDENTITY: transfer,
  ORIGIN_FTP_DATA_TIMEOUT: transfer,
  ORIGIN_FTP_MALFORMED: session,
  ORIGIN_FTP_UNSOLICITED: session,
  ORIGIN_GONE: ['session', 'auth', 'alert', 'transfer'],
  ORIGIN_HANDSHAKE_FAILED: ['auth', 'alert', 'transfer'],
  ORIGIN_HANDSHAKE_TIMEOUT: ['auth', 'alert', 'transfer'],
  ORIGIN_IDLE_TIMEOUT: session,
  ORIGIN_NAME_UNRESOLVED: ['greeting', 'alert', 'port'],
  ORIGIN_NOT_TLS: check,
  ORIGIN_REFUSED: dial,
  ORIGIN_REVOCATION_UNKNOWN: check,
  ORIGIN_TLS_TOO_WEAK: check,
  ORIGIN_TRUNCATED: transfer,
  ORIGIN_UNREACHABLE: dial,
  ORIGIN_UPGRADE_INJECTION: ['auth'],
  ORIGIN_UPSTREAM_PROXY: ['greeting', 'alert', 'port'],
  POLICY_ADMIN_ADDRESS: dialOrPort,
  POLICY_LOOP: dialOrPort,
  POLICY_REFUSED: [...dialOrPort, 'session'],
  POLICY_RULE_BLOCK: transfer,
  POLICY_RULE_RESET: cut,
  POLICY_SCANNER_BLOCK: transfer,
  POLICY_SERVER_NAME_MISSING: alert,
  POLICY_TLS_REQUIRED: ['command', 'transfer'],
  POLICY_UNSCANNABLE: transfer,
};

export function filesForms(code: FailureCode): readonly FilesForm[] {
  return forms[code] ?? (code.startsWith('ORIGIN_CERT_') ? check : none);
}
