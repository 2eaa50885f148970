import { randomBytes } from 'node:crypto';
import { farmDomain } from '../farm.ts';
import { type BadRow, badOrigins, type OriginSetup } from '../origin-case.ts';
import { answers, record, type Script, serverHello } from '../scripted-origin.ts';
import { flip, flipMessage, type Tamper } from '../tampering.ts';
import type { TlsOriginOptions } from '../tls-origin.ts';

const host = `tls.${farmDomain}`;
const weak = ['ORIGIN_TLS_TOO_WEAK', 'ORIGIN_HANDSHAKE_FAILED'] as const;
const failed = ['ORIGIN_HANDSHAKE_FAILED', 'ORIGIN_TLS_TOO_WEAK', 'ORIGIN_GONE'] as const;
const notTls = ['ORIGIN_NOT_TLS', 'ORIGIN_HANDSHAKE_FAILED'] as const;

const only =
  (options: TlsOriginOptions, rsa = false): BadRow[3] =>
  (farm) => ({
    kind: 'tls',
    credentials: farm.leaf({ names: [host], ...(rsa ? { key: farm.key('RSA-2048') } : {}) }),
    options,
  });
const tls12 = { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' } as const;
const tls13 = { minVersion: 'TLSv1.3', maxVersion: 'TLSv1.3' } as const;
const says =
  (script: Script): BadRow[3] =>
  () => ({ kind: 'script', script });
const tampered =
  (options: TlsOriginOptions, tamper: Tamper): BadRow[3] =>
  (farm): OriginSetup => ({
    kind: 'tls',
    credentials: farm.leaf({ names: [host] }),
    options,
    tamper,
  });

/** Versions, suites and groups with known attacks. */
const attackable: readonly BadRow[] = [
  ['TLS 1.0', weak, host, only({ minVersion: 'TLSv1', maxVersion: 'TLSv1' })],
  ['TLS 1.1', weak, host, only({ minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1' })],
  ['SSL 3.0', weak, host, says(answers(serverHello({ version: 0x0300 })))],
  ['static RSA key exchange, CBC', weak, host, only({ ...tls12, ciphers: 'AES128-SHA:@SECLEVEL=0' }, true)],
  ['ECDHE with CBC', weak, host, only({ ...tls12, ciphers: 'ECDHE-RSA-AES128-SHA:@SECLEVEL=0' }, true)],
  [
    'Diffie-Hellman of 1024 bits',
    weak,
    host,
    only({ ...tls12, ciphers: 'DHE-RSA-AES128-GCM-SHA256:@SECLEVEL=0', dhGroup: 'modp2' }, true),
  ],
  ['key exchange signed with SHA-1', weak, host, only({ ...tls12, sigalgs: 'RSA+SHA1:ECDSA+SHA1' }, true)],
  ['RC4', weak, host, says(answers(serverHello({ suite: 0x0005 })))],
  ['3DES', weak, host, says(answers(serverHello({ suite: 0x000a })))],
  ['export RC4', weak, host, says(answers(serverHello({ suite: 0x0003 })))],
  ['compression', weak, host, says(answers(serverHello({ compression: 1 })))],
  ['no secure renegotiation', weak, host, says(answers(serverHello({ extensions: Buffer.alloc(0) })))],
  ['static RSA in its ServerHello', weak, host, says(answers(serverHello({ suite: 0x009c })))],
];

/** TLS that proves nothing, or is changed on the way. */
const unproven: readonly BadRow[] = [
  [
    'anonymous key exchange',
    weak,
    host,
    (): OriginSetup => ({
      kind: 'tls',
      credentials: undefined,
      options: { ...tls12, ciphers: 'AECDH-AES128-SHA:ADH-AES128-GCM-SHA256:@SECLEVEL=0' },
    }),
  ],
  ['anonymous suite in its ServerHello', weak, host, says(answers(serverHello({ suite: 0xc018 })))],
  [
    'no encryption',
    weak,
    host,
    only({ ...tls12, ciphers: 'ECDHE-ECDSA-NULL-SHA:ECDHE-RSA-NULL-SHA:@SECLEVEL=0' }, true),
  ],
  ['NULL suite in its ServerHello', weak, host, says(answers(serverHello({ suite: 0x003b })))],
  ['suite that was not offered', weak, host, says(answers(serverHello({ suite: 0xc0af })))],
  ['version 03 06', weak, host, says(answers(serverHello({ version: 0x0306 })))],
  ['mark of a downgrade', failed, host, says(answers(serverHello({ random: downgraded() })))],
  ['TLS 1.3 hidden from the origin', failed, host, tampered({}, { hello: hideTls13 })],
  ['server random changed, TLS 1.2', failed, host, tampered(tls12, flipMessage(2, 12))],
  ['server random changed, TLS 1.3', [...failed, 'ORIGIN_NOT_TLS'], host, tampered(tls13, flipMessage(2, 12))],
  [
    'certificate changed on the way',
    [...failed, 'ORIGIN_CERT_INVALID', 'ORIGIN_CERT_UNTRUSTED'],
    host,
    tampered(tls12, flipMessage(11, -1)),
  ],
  [
    'suite for another kind of key',
    failed,
    host,
    tampered({ ...tls12, ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256' }, { answer: changeSuite }),
  ],
  ['signature of the key exchange changed', failed, host, tampered(tls12, flipMessage(12, -1))],
  [
    'Finished changed, TLS 1.2',
    failed,
    host,
    tampered(tls12, { answer: (bytes, ciphered) => ciphered && flipLast(bytes) }),
  ],
  [
    'encrypted flight changed, TLS 1.3',
    failed,
    host,
    tampered(tls13, { answer: (bytes) => bytes[0] === 23 && flipLast(bytes) }),
  ],
];

/** Peers that speak no TLS, or do not get to the end of a handshake. */
const unfinished: readonly BadRow[] = [
  ['HTTP in the clear', notTls, host, says(answers('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'))],
  ['mail server', notTls, host, says(answers('220 mail.invalid ESMTP\r\n'))],
  ['noise', notTls, host, says((socket) => void socket.write(randomBytes(2_000)))],
  ['record of 40 000 bytes', notTls, host, says(answers(record(22, 0x0303, Buffer.alloc(40_000, 2))))],
  [
    'message of 16 MB announced',
    [...failed, 'ORIGIN_NOT_TLS'],
    host,
    says(answers(record(22, 0x0303, Buffer.from('02ffffff0303', 'hex')))),
  ],
  ['closes after the ClientHello', failed, host, says((socket) => void socket.end())],
  ['resets after the ClientHello', failed, host, says((socket) => void socket.resetAndDestroy())],
  ['says nothing', ['ORIGIN_HANDSHAKE_TIMEOUT'], host, says(() => {})],
  [
    'stops in the middle of its ServerHello',
    ['ORIGIN_HANDSHAKE_TIMEOUT'],
    host,
    says((socket) => void socket.write(serverHello({}).subarray(0, 20))),
  ],
];

/** Weaker than need be; a browser takes it, and no attack is known. */
const loose: readonly BadRow[] = [
  ['static RSA key exchange, GCM', weak, host, only({ ...tls12, ciphers: 'AES128-GCM-SHA256' }, true)],
  [
    'Diffie-Hellman of 2048 bits',
    weak,
    host,
    only({ ...tls12, ciphers: 'DHE-RSA-AES128-GCM-SHA256', dhGroup: 'modp14' }, true),
  ],
  [
    'key exchange over P-224',
    weak,
    host,
    only({ ...tls12, groups: 'secp224r1', ciphers: 'ECDHE-RSA-AES128-GCM-SHA256:@SECLEVEL=0' }, true),
  ],
];

/** Faults of the TLS protocol itself. */
export const protocolCases = [
  ...badOrigins('protocol', 'C', attackable),
  ...badOrigins('protocol', 'F', unproven),
  ...badOrigins('protocol', 'F', unfinished),
  ...badOrigins('protocol', 'B', loose),
];

/** Says that the key is RSA where it is ECDSA: 0xc02b becomes 0xc02f. */
function changeSuite(bytes: Buffer): boolean {
  if (bytes[0] !== 22 || bytes[5] !== 2) return false;
  const suite = 44 + (bytes[43] ?? 0);
  bytes[suite + 1] = (bytes[suite + 1] ?? 0) ^ 4;
  return true;
}

function flipLast(bytes: Buffer): boolean {
  flip(bytes, -1);
  return true;
}

/** The mark of a server that could do better than TLS 1.2 (RFC 8446 section 4.1.3). */
function downgraded(): Buffer {
  return Buffer.concat([Buffer.alloc(24, 7), Buffer.from('444f574e47524401', 'hex')]);
}

/** Renames supported_versions, so that the origin takes the client for one of TLS 1.2. */
function hideTls13(bytes: Buffer): void {
  const sessionId = bytes[43] ?? 0;
  const suites = 44 + sessionId;
  const compression = suites + 2 + bytes.readUInt16BE(suites);
  let at = compression + 1 + (bytes[compression] ?? 0) + 2;
  for (; at + 4 <= bytes.length; at += 4 + bytes.readUInt16BE(at + 2)) {
    if (bytes.readUInt16BE(at) === 43) bytes.writeUInt16BE(0xfafa, at);
  }
}
