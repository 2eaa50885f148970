import type { Address } from '../core/endpoint.ts';
import { limits } from '../core/limits.ts';
import { canonicalIp, formatIp, parseIp } from './ip-address.ts';

/** What a prefix of a connection says in the PROXY protocol (HAProxy's proxy-protocol.txt, versions 1 and 2). */
export type ProxyHeaderParse =
  | {
      readonly kind: 'complete';
      /** True when the header names no one (LOCAL, UNKNOWN, UNSPEC, a Unix socket): the connection's own addresses hold. */
      readonly local: boolean;
      readonly source: Address | undefined;
      readonly destination: Address | undefined;
      /** Length of the header: what follows belongs to the client. */
      readonly consumed: number;
    }
  | { readonly kind: 'partial' }
  /** The first bytes are not the beginning of a header. */
  | { readonly kind: 'absent'; readonly detail: string }
  /** They are, but what follows is wrong: CLIENT_PROXY_HEADER_INVALID. */
  | { readonly kind: 'malformed'; readonly detail: string };

/** Parses the PROXY protocol header at the start of a connection, of either version. */
export function parseProxyHeader(bytes: Buffer): ProxyHeaderParse {
  if (startsAlike(bytes, signatureV2)) return bytes.length < headV2Bytes ? partial : parseV2(bytes);
  if (startsAlike(bytes, signatureV1)) return parseV1(bytes);
  return { kind: 'absent', detail: 'no PROXY protocol header' };
}

/** Writes a header. Addresses of different families are both written as IPv6; without two valid ones the header names no one. */
export function encodeProxyHeader(version: 'v1' | 'v2', source: Address, destination: Address): Buffer {
  const addresses = sameFamily(source.ip, destination.ip);
  return version === 'v1'
    ? encodeV1(addresses, source.port, destination.port)
    : encodeV2(addresses, source.port, destination.port);
}

const signatureV1 = Buffer.from('PROXY ', 'latin1');
const signatureV2 = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
/** Signature, version and command, family, length. */
const headV2Bytes = 16;
/** With CR LF, for the longest two IPv6 addresses. */
const lineV1BytesMax = 107;
const partial: ProxyHeaderParse = { kind: 'partial' };

function startsAlike(bytes: Buffer, signature: Buffer): boolean {
  const length = Math.min(bytes.length, signature.length);
  return signature.compare(bytes, 0, length, 0, length) === 0;
}

function malformed(detail: string): ProxyHeaderParse {
  return { kind: 'malformed', detail };
}

function nobody(consumed: number): ProxyHeaderParse {
  return { kind: 'complete', local: true, source: undefined, destination: undefined, consumed };
}

function parseV1(bytes: Buffer): ProxyHeaderParse {
  const end = bytes.subarray(0, lineV1BytesMax).indexOf('\r\n', 0, 'latin1');
  if (end === -1) return bytes.length < lineV1BytesMax ? partial : malformed('version 1 line without its end');
  const consumed = end + 2;
  const [family, source, destination, sourcePort, destinationPort, ...more] = bytes
    .toString('latin1', signatureV1.length, end)
    .split(' ');
  // What follows UNKNOWN must be ignored (section 2.1).
  if (family === 'UNKNOWN') return nobody(consumed);
  if ((family !== 'TCP4' && family !== 'TCP6') || more.length > 0) return malformed('version 1 line');
  const from = addressV1(family, source, sourcePort);
  const to = addressV1(family, destination, destinationPort);
  if (from === undefined || to === undefined) return malformed('version 1 address or port');
  return { kind: 'complete', local: false, source: from, destination: to, consumed };
}

function addressV1(family: 'TCP4' | 'TCP6', ip = '', port = ''): Address | undefined {
  const canonical = ip.includes(':') === (family === 'TCP6') ? canonicalIp(ip) : undefined;
  const number = /^(?:0|[1-9][0-9]{0,4})$/.test(port) ? Number(port) : 65_536;
  return canonical === undefined || number > 65_535 ? undefined : { ip: canonical, port: number };
}

const commandLocal = 0x20;
const commandProxy = 0x21;
const familyStream4 = 0x11;
const familyStream6 = 0x21;
const addressBytesV2: ReadonlyMap<number, number> = new Map([
  [0x00, 0],
  [familyStream4, 12],
  [familyStream6, 36],
  [0x31, 216],
]);

function parseV2(bytes: Buffer): ProxyHeaderParse {
  const command = bytes.readUInt8(12);
  const family = bytes.readUInt8(13);
  const consumed = headV2Bytes + bytes.readUInt16BE(14);
  if (command !== commandLocal && command !== commandProxy) return malformed(`version and command ${command}`);
  if (consumed > limits.proxyHeaderBytes) return malformed(`header of ${consumed} bytes`);
  if (bytes.length < consumed) return partial;
  // The receiver of LOCAL must ignore family and addresses, but for the length (section 2.2).
  if (command === commandLocal) return nobody(consumed);
  const body = bytes.subarray(headV2Bytes, consumed);
  const addressBytes = addressBytesV2.get(family);
  if (addressBytes === undefined || addressBytes > body.length)
    return malformed(`family ${family} of ${body.length} bytes`);
  if (!areWholeTlvs(body.subarray(addressBytes))) return malformed('TLV beyond the end of the header');
  if (family !== familyStream4 && family !== familyStream6) return nobody(consumed);
  const ipBytes = family === familyStream4 ? 4 : 16;
  return {
    kind: 'complete',
    local: false,
    source: { ip: formatAny(body.subarray(0, ipBytes)), port: body.readUInt16BE(2 * ipBytes) },
    destination: { ip: formatAny(body.subarray(ipBytes, 2 * ipBytes)), port: body.readUInt16BE(2 * ipBytes + 2) },
    consumed,
  };
}

/** IPv4-mapped addresses are IPv4 here as everywhere. */
function formatAny(bytes: Buffer): string {
  const text = formatIp(bytes);
  return canonicalIp(text) ?? text;
}

/** Type, 16-bit length, value; none is read, but a header that does not add up is not believed. */
function areWholeTlvs(bytes: Buffer): boolean {
  let offset = 0;
  while (offset + 3 <= bytes.length) offset += 3 + bytes.readUInt16BE(offset + 1);
  return offset === bytes.length;
}

type AddressPair = readonly [source: Buffer, destination: Buffer];

function sameFamily(source: string, destination: string): AddressPair | undefined {
  const from = parseIp(source);
  const to = parseIp(destination);
  if (from === undefined || to === undefined) return undefined;
  return from.length === to.length ? [from, to] : [mapped(from), mapped(to)];
}

function mapped(ip: Buffer): Buffer {
  return ip.length === 16 ? ip : Buffer.concat([Buffer.from('00000000000000000000ffff', 'hex'), ip]);
}

function encodeV1(addresses: AddressPair | undefined, sourcePort: number, destinationPort: number): Buffer {
  if (addresses === undefined) return Buffer.from('PROXY UNKNOWN\r\n', 'latin1');
  const [source, destination] = addresses;
  const family = source.length === 4 ? 'TCP4' : 'TCP6';
  return Buffer.from(
    `PROXY ${family} ${formatIp(source)} ${formatIp(destination)} ${sourcePort} ${destinationPort}\r\n`,
    'latin1',
  );
}

function encodeV2(addresses: AddressPair | undefined, sourcePort: number, destinationPort: number): Buffer {
  const head = Buffer.concat([signatureV2, Buffer.from([commandProxy, 0, 0, 0])]);
  if (addresses === undefined) {
    head[12] = commandLocal;
    return head;
  }
  const [source, destination] = addresses;
  head[13] = source.length === 4 ? familyStream4 : familyStream6;
  head.writeUInt16BE(2 * source.length + 4, 14);
  const ports = Buffer.alloc(4);
  ports.writeUInt16BE(sourcePort, 0);
  ports.writeUInt16BE(destinationPort, 2);
  return Buffer.concat([head, source, destination, ports]);
}
