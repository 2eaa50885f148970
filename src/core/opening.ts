import type { FailureCode } from './failures.ts';
import type { ClientHello } from './tls.ts';

/** Protocols that are recognised by their first bytes but not parsed further. */
export type OpaqueProtocol =
  | 'ssh'
  | 'rdp'
  | 'ica'
  | 'smtp'
  | 'ftp'
  | 'pop3'
  | 'imap'
  | 'mysql'
  | 'vnc'
  | 'openvpn'
  | 'socks'
  | 'bittorrent'
  | 'tls-sslv2'
  | 'postgres'
  | 'ldap'
  | 'smb'
  | 'telnet'
  | 'irc'
  | 'xmpp'
  | 'rtsp'
  | 'mqtt'
  | 'amqp'
  | 'redis'
  | 'mssql'
  | 'dns'
  | 'stun'
  | 'proxy-protocol'
  | 'unknown';

/** What the first bytes of a flow are. */
export type Opening =
  | { readonly kind: 'tls'; readonly hello: ClientHello }
  | { readonly kind: 'http1' }
  | { readonly kind: 'http2' }
  | { readonly kind: 'opaque'; readonly protocol: OpaqueProtocol }
  | { readonly kind: 'silent' }
  | { readonly kind: 'malformed'; readonly code: FailureCode; readonly detail: string };

/**
 * Recognition over a growing prefix: `partial` asks for more bytes. Where `neededBytes` is set, asking again before there
 * are so many in all is of no use.
 */
export type Recognition = Opening | { readonly kind: 'partial'; readonly neededBytes?: number };
