import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { recogniseBanner, recogniseOpening } from '../../src/codec/first-bytes.ts';
import type { Recognition } from '../../src/core/opening.ts';
import { clientHello, inRecords, serverNames } from './hello-builder.ts';
import { readPublicVectors } from './public-vectors.ts';

/** The name that a record gives an opening. */
function nameOf(recognition: Recognition): string {
  return recognition.kind === 'opaque' ? recognition.protocol : recognition.kind;
}
const recognised = (bytes: string | Buffer): string => nameOf(recogniseOpening(Buffer.from(bytes as string, 'latin1')));

/** Recognises over segments of one byte: the name, and how many bytes it took. */
function byteByByte(bytes: Buffer): { name: string; at: number } {
  for (let length = 1; length <= bytes.length; length++) {
    const recognition = recogniseOpening(bytes.subarray(0, length));
    if (recognition.kind !== 'partial') return { name: nameOf(recognition), at: length };
  }
  return { name: 'partial', at: bytes.length };
}

const tls = inRecords(clientHello({ extensions: [serverNames('shop.example')] }));
const hex = (digits: string): Buffer => Buffer.from(digits.replaceAll(' ', ''), 'hex');

/** Openings with the number of bytes after which they must be known. */
const openings: readonly (readonly [name: string, what: string, bytes: string | Buffer, within: number])[] = [
  ['tls', 'a ClientHello', tls, tls.length],
  ['tls', 'a ClientHello in records of seven bytes', inRecords(clientHello(), 7), 200],
  ['malformed', 'a ServerHello from a client', hex('160303000402000000'), 6],
  ['malformed', 'an empty TLS record', hex('1603010000'), 5],
  ['unknown', 'DTLS', hex('16feff0000'), 2],
  ['malformed', 'TLS application data', hex('1703030010'), 2],
  ['malformed', 'change_cipher_spec before a ClientHello', Buffer.concat([hex('140303000101'), tls]), 2],
  ['malformed', 'an alert before a ClientHello', Buffer.concat([hex('15030300020164'), tls]), 2],
  ['unknown', 'what only begins like a TLS alert', hex('1506'), 2],
  ['http1', 'GET', 'GET / HTTP/1.1\r\n', 4],
  ['http1', 'GET with a tab', 'GET\t/ HTTP/1.1\r\n', 4],
  ['http1', 'GET of HTTP/0.9', 'GET /\r\n', 4],
  ['http1', 'CONNECT', 'CONNECT shop.example:443 HTTP/1.1\r\n', 8],
  ['http1', 'an absolute form', 'POST http://shop.example/ HTTP/1.1\r\n', 5],
  ['http1', 'OPTIONS *', 'OPTIONS * HTTP/1.1\r\n', 20],
  ['http1', 'a method of its own', 'BREW /pot HTTP/1.1\r\n', 20],
  ['http1', 'a method in lower case', 'get / http/1.1\n', 15],
  ['http1', 'an unknown method and no path', 'FOO bar HTTP/1.1\r\n', 18],
  ['http1', 'a request behind an empty line', '\r\nGET / HTTP/1.1\r\n', 6],
  ['http1', 'a request behind blanks', ' \t\x0b\x0cGET / HTTP/1.1\r\n', 8],
  ['http1', 'a request with blanks of its own', 'GET\x0b/\x0bHTTP/1.1\r\n', 4],
  ['http1', 'a long method of its own', `${'A'.repeat(1_000)} / HTTP/1.1\r\n`, 1_014],
  ['http1', 'a method that is called like SSH', 'SSH-2.0 / HTTP/1.1\r\n', 20],
  ['http1', 'a method that is called like AMQP', 'AMQP / HTTP/1.1\r\n', 17],
  ['http1', 'two spaces', 'FOO  /  HTTP/1.1\r\n', 18],
  ['http1', 'a target in UTF-8', Buffer.from('FOO /bücher HTTP/1.1\r\n'), 23],
  ['http1', 'a line without end', `FOO /${'a'.repeat(5_000)}`, 4_096],
  ['http2', 'prior knowledge', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 16],
  ['ssh', 'SSH 2', 'SSH-2.0-OpenSSH_9.7\r\n', 21],
  ['rdp', 'a cookie', Buffer.concat([hex('0300002f2ae00000000000'), Buffer.from('Cookie: mstshash=a\r\n')]), 12],
  ['rdp', 'a negotiation request', hex('030000130ee000000000000100080003000000'), 12],
  ['rdp', 'nothing but X.224', hex('0300000b06e00000000000'), 11],
  ['unknown', 'S7 over X.224', hex('0300001611e00000000100c1020100c2020102c0010a'), 12],
  ['ica', 'its magic', hex('7f7f49434100'), 6],
  ['ica', 'session reliability', '\x1aCGP/01', 7],
  ['ica', "Citrix's TCP proxy", Buffer.concat([hex('0000002e'), Buffer.from('Citrix.TcpProxyService')]), 26],
  ['vnc', 'RFB', 'RFB 003.008\n', 6],
  ['proxy-protocol', 'version 1', 'PROXY TCP4 192.0.2.1 198.51.100.1 4711 443\r\n', 44],
  ['proxy-protocol', 'version 1 for nobody', 'PROXY UNKNOWN\r\n', 15],
  ['proxy-protocol', 'version 2', hex('0d0a0d0a000d0a515549540a2111000c'), 12],
  ['http1', 'a method that is called like it', 'PROXY TCP4 HTTP/1.1\r\n', 21],
  ['http1', 'a request behind two empty lines', '\r\n\r\nGET / HTTP/1.1\r\n', 8],
  ['bittorrent', 'its handshake', '\x13BitTorrent protocol', 20],
  ['postgres', 'SSLRequest', hex('0000000804d2162f'), 8],
  ['postgres', 'GSSENCRequest', hex('0000000804d21630'), 8],
  ['postgres', 'StartupMessage', hex('00000026 00030000 75736572'), 8],
  ['smb', 'version 1', hex('00000054 ff534d42'), 8],
  ['smb', 'version 2', hex('000000b4 fe534d42'), 8],
  ['ldap', 'bind', hex('300c020101600702010304008000'), 6],
  ['ldap', 'bind with a long length', hex('30840000000c020101600702010304008000'), 10],
  ['unknown', 'SNMP', hex('302902010104067075626c6963'), 6],
  ['mqtt', 'version 3.1.1', hex('101300044d51545404020000'), 8],
  ['mqtt', 'version 3.1 with a long length', hex('10ff0100064d5149736470'), 11],
  ['mssql', 'PRELOGIN', hex('1201002f00000100'), 6],
  ['redis', 'PING', '*1\r\n$4\r\nPING\r\n', 5],
  ['amqp', 'version 0-9-1', 'AMQP\x00\x00\x09\x01', 5],
  ['stun', 'a binding request', hex('00010000 2112a442'), 8],
  ['dns', 'a query of the length of an OpenVPN packet', hex('002a 3812 0100 0001 0000 0000 0001 07'), 13],
  ['openvpn', 'a reset', hex('000e 38 507a28a78275788d 00 00000000'), 12],
  ['openvpn', 'a reset with tls-crypt-v2', hex('0180 50 507a28a78275788d 00 00000000'), 12],
  ['socks', 'version 5', hex('050100'), 3],
  ['socks', 'version 5 with three methods', hex('0503000102'), 3],
  ['socks', 'version 4', hex('040100505db8d87700'), 8],
  ['unknown', 'DCE/RPC', hex('05000b0310000000'), 5],
  ['telnet', 'its options', hex('fffd03fffb18'), 3],
  ['tls-sslv2', 'a hello for TLS 1.0', hex('807c01030100630000'), 5],
  ['tls-sslv2', 'a hello for SSL 2', hex('802e01000200150000'), 5],
  ['smtp', 'EHLO', 'EHLO mail.example\r\n', 19],
  ['ftp', 'USER', 'USER anonymous\r\n', 16],
  ['ftp', 'AUTH TLS', 'AUTH TLS\r\n', 10],
  ['irc', 'USER', 'USER me +iw me :My Name\r\n', 25],
  ['irc', 'NICK', 'NICK me\r\n', 9],
  ['pop3', 'STLS', 'STLS\r\n', 6],
  ['imap', 'a tagged command', 'a001 LOGIN me secret\r\n', 22],
  ['rtsp', 'OPTIONS', 'OPTIONS rtsp://cam.example/ RTSP/1.0\r\n', 38],
  ['unknown', 'SIP', 'OPTIONS sip:a@b.example SIP/2.0\r\n', 33],
  ['http1', 'OPTIONS without a version', 'OPTIONS /a\r\n', 12],
  ['http1', 'SUBSCRIBE without a version', 'SUBSCRIBE http://a.example/\r\n', 29],
  ['xmpp', 'a stream', "<stream:stream to='x'>", 14],
  ['xmpp', 'a stream behind a declaration', `<?xml version="1.0" encoding="UTF-8"?>\n<stream:stream to='x'>`, 54],
  ['unknown', 'another document', '<?xml version="1.0"?><html>', 23],
  ['unknown', 'a token and a control character', 'WA\x01\x05', 3],
  ['unknown', 'a line that is no request', 'HELLO there\r\n', 13],
  ['unknown', 'a byte that begins nothing', hex('aa'), 1],
  ['http1', 'a request behind many line ends', `${'\r\n'.repeat(50)}GET / HTTP/1.1\r\n`, 104],
  ['http1', 'line ends without end', '\n'.repeat(4_200), 4_097],
  ['http1', 'a token without end', 'A'.repeat(5_000), 4_098],
];

describe('recogniseOpening', () => {
  it.each(openings)('says %s to %s', (name, _, bytes, within) => {
    const opening = Buffer.from(bytes as string, 'latin1');
    expect(recognised(opening)).toBe(name);
    const { name: split, at } = byteByByte(opening);
    expect(split).toBe(name);
    expect(at).toBeLessThanOrEqual(within);
  });

  it.each([
    '',
    '\x16',
    '\x16\x03\x01\x02',
    'G',
    'GET',
    'PRI * HTTP/2.',
    '\r\n',
    '\x7f\x7fI',
    '\x03\x00\x00',
    'BREW /pot',
  ])('asks for more after %j', (bytes) => {
    expect(recognised(bytes)).toBe('partial');
  });

  it('hands the ClientHello over, and says how much of it is missing', () => {
    expect(recogniseOpening(tls)).toMatchObject({ kind: 'tls', hello: { serverName: 'shop.example' } });
    expect(recogniseOpening(tls.subarray(0, 40))).toEqual({ kind: 'partial', neededBytes: tls.length });
  });

  it('names the failure of TLS that is broken', () => {
    expect(recogniseOpening(hex('160303000402000000'))).toMatchObject({ code: 'CLIENT_HELLO_MALFORMED' });
    expect(recogniseOpening(hex('16030340000101ffff'))).toMatchObject({ code: 'CLIENT_OPENING_TOO_LARGE' });
  });

  const prefixes = openings.map(([, , bytes]) => Buffer.from(bytes as string, 'latin1').subarray(0, 24));
  const anyBytes = fc.uint8Array({ maxLength: 80 }).map((bytes) => Buffer.from(bytes));
  const text = fc
    .string({ unit: fc.constantFrom(...'GETPOSRI /*:.HTTP120\r\n\t<?xml>strea\0'), maxLength: 40 })
    .map((string) => Buffer.from(string, 'latin1'));
  const continued = fc
    .tuple(fc.constantFrom(...prefixes), fc.nat(24), fc.oneof(anyBytes, text))
    .map(([prefix, length, rest]) => Buffer.concat([prefix.subarray(0, length), rest]));

  it('never throws and never takes a verdict back, however the bytes go on', () => {
    fc.assert(
      fc.property(fc.oneof(anyBytes, text, continued), (bytes) => {
        const { name, at } = byteByByte(bytes);
        for (let length = at; length <= bytes.length; length++) {
          expect(recognised(bytes.subarray(0, length))).toBe(name);
        }
      }),
      { numRuns: 3_000 },
    );
  });
});

describe('recogniseBanner', () => {
  it.each([
    ['ssh', 'SSH-2.0-OpenSSH_9.7\r\n'],
    ['ssh', 'Welcome\r\nstranger\r\nSSH-2.0-x\r\n'],
    ['smtp', '220 mx.example ESMTP Postfix\r\n'],
    ['smtp', '220-mx.example ESMTP\r\n220 no spam\r\n'],
    ['smtp', '220 mx.example ready\r\n'],
    ['smtp', '554 mx.example SMTP no\r\n'],
    ['ftp', '220 (vsFTPd 3.0.5)\r\n'],
    ['ftp', '220-FileZilla Server 1.8\r\n'],
    ['ftp', '220 "Authorized users only"\r\n'],
    ['pop3', '+OK ready <1.2@mail.example>\r\n'],
    ['imap', '* OK [CAPABILITY IMAP4rev1] ready\r\n'],
    ['imap', '* PREAUTH\r\n'],
    ['vnc', 'RFB 003.008\n'],
    ['irc', 'NOTICE AUTH :*** Looking up\r\n'],
    ['mysql', 'J\0\0\0\n8.0.36\0'],
    ['mysql', 'E\0\0\0\xff\x6a\x04Host is not allowed'],
    ['ica', '\x7f\x7fICA\0'],
    ['telnet', '\xff\xfd\x18'],
  ] as const)('says %s to %j', (protocol, banner) => {
    expect(recogniseBanner(Buffer.from(banner, 'latin1'))).toBe(protocol);
  });

  it.each(['', 'SS', '220 mx.exam', 'HTTP/1.1 200 OK\r\n', '\x16\x03\x03', '\r\n', '2200\r\n'])(
    'knows nothing of %j',
    (banner) => {
      expect(recogniseBanner(Buffer.from(banner, 'latin1'))).toBeUndefined();
    },
  );

  it('never throws', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => void recogniseBanner(Buffer.from(bytes))));
  });
});

interface FlowVector {
  readonly expect: string;
  readonly transport: string;
  readonly client_first: boolean;
  readonly client_hex?: string;
  readonly server_hex?: string;
  readonly pcap: string;
}
const vectors = readPublicVectors<FlowVector>('protocols.jsonl');

describe.skipIf(vectors === undefined)('captured flows over TCP', () => {
  const flows = (vectors ?? []).filter(({ transport }) => transport === 'tcp');

  /** What the labels are called here. */
  const names: Readonly<Record<string, string>> = {
    http: 'http1',
    tor: 'tls',
    psiphon: 'tls',
    'tls-doh-or-dot': 'tls',
    'tls-sslv2-hello': 'tls-sslv2',
    'ica-cgp': 'ica',
    incomplete: 'partial',
    // The client speaks HTTP to an SSH server.
    mismatch: 'http1',
    // The only one whose client speaks first.
    starttls: 'xmpp',
    // Meant to be unrecognisable, or not to be told from noise by a signature.
    'not-tls': 'unknown',
    'fully-encrypted': 'unknown',
    'openvpn-xor': 'unknown',
    ultrasurf: 'unknown',
    // No signature is kept for these.
    teamviewer: 'unknown',
    mongodb: 'unknown',
    kafka: 'unknown',
    // These captures begin in the middle of the flow.
    ldap: 'unknown',
    smb: 'unknown',
    xmpp: 'unknown',
    mqtt: 'unknown',
  };

  it('are all recognised by what a client says first', () => {
    const clientFirst = flows.filter(({ client_first }) => client_first);
    expect(clientFirst.length).toBeGreaterThan(60);
    const wrong = clientFirst.flatMap(({ expect: label, client_hex = '', pcap }) => {
      const whole = recognised(Buffer.from(client_hex, 'hex'));
      const { name } = byteByByte(Buffer.from(client_hex, 'hex'));
      return whole === (names[label] ?? label) && name === whole ? [] : [`${label} ${pcap}: ${whole}, split ${name}`];
    });
    expect(wrong).toEqual([]);
  });

  it('are all recognised by what a server says first', () => {
    const serverFirst = flows.filter(({ client_first }) => !client_first);
    expect(serverFirst.length).toBeGreaterThan(20);
    const wrong = serverFirst.flatMap(({ expect: label, server_hex = '', pcap }) => {
      const banner = recogniseBanner(Buffer.from(server_hex, 'hex'));
      // STARTTLS flows whose server speaks first are SMTP.
      return banner === (label === 'starttls' ? 'smtp' : label) ? [] : [`${label} ${pcap}: ${banner}`];
    });
    expect(wrong).toEqual([]);
  });
});
