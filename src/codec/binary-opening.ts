import type { OpaqueProtocol } from '../core/opening.ts';
import { type BytePattern, bytePattern, matchPattern } from './byte-pattern.ts';
import type { Guess } from './guess.ts';

/** Recognises the client's first bytes of protocols with a fixed or a binary beginning. */
export function recogniseBinary(bytes: Buffer): Guess {
  let isOpen = false;
  for (const [protocol, pattern] of signatures) {
    const match = matchPattern(pattern, bytes);
    if (match === 'yes') return protocol;
    isOpen ||= match === 'maybe';
  }
  for (const recognise of [rdp, openvpn, socks, ldap, mqtt]) {
    const guess = recognise(bytes);
    if (guess !== undefined && guess !== 'maybe') return guess;
    isOpen ||= guess === 'maybe';
  }
  return isOpen ? 'maybe' : undefined;
}

const ascii = (text: string): string => Buffer.from(text, 'latin1').toString('hex');

const signatures: readonly (readonly [OpaqueProtocol, BytePattern])[] = (
  [
    // ICA's own magic, session reliability (CGP), and the request to Citrix's TCP proxy behind its length.
    ['ica', `7f7f${ascii('ICA')}00`],
    ['ica', `1a${ascii('CGP/01')}`],
    ['ica', `0000....${ascii('Citrix.TcpProxyService')}`],
    ['vnc', ascii('RFB 00')],
    ['bittorrent', `13${ascii('BitTorrent protocol')}`],
    // The protocol id behind it is below 4: `AMQP /` could be a method of HTTP.
    ['amqp', `${ascii('AMQP')}0.`],
    ['redis', '2a3.0d0a24'],
    ['xmpp', ascii('<stream:stream')],
    // PostgreSQL: SSLRequest, GSSENCRequest, CancelRequest, StartupMessage of protocol 3.
    ['postgres', '0000000804d2162f'],
    ['postgres', '0000000804d21630'],
    ['postgres', '0000001004d2162e'],
    ['postgres', '0000....0003000.'],
    // SMB behind a NetBIOS session header: versions 1, 2 and 3, encrypted and compressed.
    ['smb', `00......ff${ascii('SMB')}`],
    ['smb', `00......fe${ascii('SMB')}`],
    ['smb', `00......fd${ascii('SMB')}`],
    ['smb', `00......fc${ascii('SMB')}`],
    // TDS PRELOGIN: type 18, last packet of the message, SPID 0.
    ['mssql', '1201....0000'],
    ['stun', '000.....2112a442'],
    // Version 2; version 1 is text.
    ['proxy-protocol', ascii('\r\n\r\n\0\r\nQUIT\n')],
    // DNS over TCP (RFC 1035 section 4.2.2): a query with one question and no answer, recursion desired or not.
    ['dns', '0.......00.0000100000000'],
    ['dns', '0.......01.0000100000000'],
    ['socks', '0401............'],
    ['socks', '0402............'],
    ['telnet', 'fffb..'],
    ['telnet', 'fffc..'],
    ['telnet', 'fffd..'],
    ['telnet', 'fffe..'],
    // A ClientHello in SSL 2.0 framing (RFC 5246 appendix E.2), for SSL 2.0 or for 3.0 and up.
    ['tls-sslv2', '8...010002'],
    ['tls-sslv2', '8...01030.'],
  ] as const
).map(([protocol, hex]) => [protocol, bytePattern(hex)] as const);

const tpktConnectionRequest = bytePattern('0300......e0');
const tpktHeaderAndRequestBytes = 11;

/**
 * TPKT and an X.224 connection request ([MS-RDPBCGR] 2.2.1.1). Other users of X.224 (S7, H.323) go on with ISO 8073
 * parameters 0xc0 to 0xc2; RDP with a routing token, a cookie, a negotiation request, or nothing.
 */
function rdp(bytes: Buffer): Guess {
  const match = matchPattern(tpktConnectionRequest, bytes);
  if (match !== 'yes') return match === 'maybe' ? 'maybe' : undefined;
  if (bytes.readUInt16BE(2) === tpktHeaderAndRequestBytes) return 'rdp';
  const next = bytes[tpktHeaderAndRequestBytes];
  if (next === undefined) return 'maybe';
  return next >= 0xc0 && next <= 0xc2 ? undefined : 'rdp';
}

/** Lengths of a client's first packet: plain, and with the HMACs of tls-auth or tls-crypt. */
const openvpnResetLengths: ReadonlySet<number> = new Set([14, 38, 42, 54, 86]);

/** OpenVPN over TCP: a 16-bit length, then P_CONTROL_HARD_RESET_CLIENT_V2 (7) or V3 (10) with key id 0. */
function openvpn(bytes: Buffer): Guess {
  const [high, low, opcode] = bytes;
  if (high === undefined || high > 0x08) return undefined;
  if (low === undefined || opcode === undefined) return 'maybe';
  const length = (high << 8) | low;
  const isReset = opcode === 0x38 ? openvpnResetLengths.has(length) : opcode === 0x50 && length >= 54;
  if (!isReset) return undefined;
  // A DNS query of that length and identifier shows itself within twelve bytes.
  return bytes.length < 12 ? 'maybe' : 'openvpn';
}

/** SOCKS5 (RFC 1928 section 3): a count of methods, then methods that are assigned or private. */
function socks(bytes: Buffer): Guess {
  const [version, methods, method] = bytes;
  if (version !== 5) return undefined;
  if (methods === 0) return undefined;
  if (method === undefined) return 'maybe';
  return method <= 9 || method >= 0x80 ? 'socks' : undefined;
}

/** Tags of LDAP requests a client may begin with: bind, unbind, search, extended (RFC 4511 section 4.1.1). */
const ldapRequests: ReadonlySet<number> = new Set([0x60, 0x42, 0x63, 0x77]);

/** BER: SEQUENCE, INTEGER message id, request. */
function ldap(bytes: Buffer): Guess {
  const [sequence, length] = bytes;
  if (sequence !== 0x30) return undefined;
  if (length === undefined) return 'maybe';
  const idAt = length <= 0x80 ? 2 : 2 + (length & 0x7f);
  if (idAt > 6) return undefined;
  const idTag = bytes[idAt];
  const idBytes = bytes[idAt + 1];
  if (idTag !== undefined && idTag !== 2) return undefined;
  if (idBytes === undefined) return 'maybe';
  if (idBytes < 1 || idBytes > 4) return undefined;
  const request = bytes[idAt + 2 + idBytes];
  if (request === undefined) return 'maybe';
  return ldapRequests.has(request) ? 'ldap' : undefined;
}

const mqttNames = [bytePattern(`0004${ascii('MQTT')}`), bytePattern(`0006${ascii('MQIsdp')}`)];

/** CONNECT with its remaining length of one to four bytes, then the protocol name (MQTT 3.1.1 section 3.1). */
function mqtt(bytes: Buffer): Guess {
  if (bytes[0] !== 0x10) return undefined;
  let lengthEnd = 1;
  while (lengthEnd < 4 && ((bytes[lengthEnd] ?? 0) & 0x80) !== 0) lengthEnd++;
  const name = bytes.subarray(lengthEnd + 1);
  const matches = mqttNames.map((pattern) => matchPattern(pattern, name));
  if (matches.includes('yes')) return 'mqtt';
  return matches.includes('maybe') ? 'maybe' : undefined;
}
