import type { ClientHello } from '../core/tls.ts';
import { ByteCursor } from './byte-cursor.ts';

/** A ClientHello, or what is wrong with it. */
export type HelloBody =
  | { readonly kind: 'hello'; readonly hello: ClientHello }
  | { readonly kind: 'fault'; readonly detail: string };

/** Parses the body of a ClientHello message (RFC 8446 section 4.1.2), as strictly as a TLS server would. */
export function parseClientHelloBody(body: Buffer): HelloBody {
  const cursor = new ByteCursor(body);
  const legacyVersion = cursor.u16();
  // Major version 3 is all of SSL 3.0 to TLS 1.3; a higher minor is negotiated down (RFC 8446 appendix E).
  if (legacyVersion >> 8 !== 3) cursor.fail(`legacy_version ${legacyVersion.toString(16)}`);
  cursor.skip(randomBytes);
  readSessionId(cursor);
  const cipherSuites = cursor.list16();
  readCompression(cursor);
  const extensions = readExtensions(cursor);
  if (cursor.left > 0) cursor.fail('trailing bytes');
  if (cursor.fault !== undefined) return { kind: 'fault', detail: cursor.fault };
  const versions = extensions.versions ?? [legacyVersion];
  return { kind: 'hello', hello: { legacyVersion, cipherSuites, ...extensions, versions } };
}

const randomBytes = 32;
const sessionIdBytesMax = 32;

/** Extension types (IANA TLS ExtensionType Values). */
const extensionType = {
  serverName: 0,
  supportedGroups: 10,
  pointFormats: 11,
  signatureAlgorithms: 13,
  alpn: 16,
  preSharedKey: 41,
  supportedVersions: 43,
  encryptedClientHello: 0xfe0d,
} as const;

interface Extensions {
  readonly extensions: number[];
  serverName: string | undefined;
  alpn: readonly string[];
  groups: readonly number[];
  pointFormats: readonly number[];
  signatureAlgorithms: readonly number[];
  hasEncryptedClientHello: boolean;
  versions: readonly number[] | undefined;
}

function readSessionId(cursor: ByteCursor): void {
  const length = cursor.u8();
  if (length > sessionIdBytesMax) cursor.fail('session id longer than 32 bytes');
  cursor.skip(length);
}

/** `null` must be offered (RFC 5246 section 7.4.1.2). */
function readCompression(cursor: ByteCursor): void {
  if (!cursor.take(cursor.u8()).includes(0)) cursor.fail('null compression is not offered');
}

/** Before TLS 1.2 a ClientHello may end without extensions (RFC 5246 section 7.4.1.2). */
function readExtensions(cursor: ByteCursor): Extensions {
  const found: Extensions = {
    extensions: [],
    serverName: undefined,
    alpn: [],
    groups: [],
    pointFormats: [],
    signatureAlgorithms: [],
    hasEncryptedClientHello: false,
    versions: undefined,
  };
  if (cursor.left === 0) return found;
  const outer = cursor.open(cursor.u16());
  const seen = new Set<number>();
  while (cursor.left > 0) {
    const type = cursor.u16();
    const end = cursor.open(cursor.u16());
    readExtension(type, cursor, found);
    cursor.close(end);
    found.extensions.push(type);
    seen.add(type);
    // RFC 8446 section 4.2.11: pre_shared_key is the last one, because its binders cover all before it.
    if (type === extensionType.preSharedKey && cursor.left > 0) cursor.fail('pre_shared_key is not last');
  }
  cursor.close(outer);
  if (seen.size !== found.extensions.length) cursor.fail('duplicate extension');
  return found;
}

function readExtension(type: number, cursor: ByteCursor, found: Extensions): void {
  switch (type) {
    case extensionType.serverName:
      found.serverName = readServerName(cursor);
      break;
    case extensionType.supportedGroups:
      found.groups = cursor.list16();
      break;
    case extensionType.pointFormats:
      found.pointFormats = readPointFormats(cursor);
      break;
    case extensionType.signatureAlgorithms:
      found.signatureAlgorithms = cursor.list16();
      break;
    case extensionType.alpn:
      found.alpn = readAlpn(cursor);
      break;
    case extensionType.supportedVersions:
      found.versions = cursor.list16Short();
      break;
    case extensionType.encryptedClientHello:
      found.hasEncryptedClientHello = true;
      cursor.skip(cursor.left);
      break;
    default:
      cursor.skip(cursor.left);
  }
}

/** RFC 6066 section 3: a list with one entry of type host_name, the only type there is. */
function readServerName(cursor: ByteCursor): string {
  const outer = cursor.open(cursor.u16());
  if (cursor.u8() !== 0) cursor.fail('server name of unknown type');
  const length = cursor.u16();
  const name = cursor.take(length).toString('latin1');
  if (length === 0) cursor.fail('empty server name');
  if (cursor.left > 0) cursor.fail('more than one server name');
  cursor.close(outer);
  return name;
}

/** RFC 7301 section 3.1: names of 1 to 255 bytes. */
function readAlpn(cursor: ByteCursor): string[] {
  const outer = cursor.open(cursor.u16());
  const names: string[] = [];
  if (cursor.left === 0) cursor.fail('empty ALPN list');
  while (cursor.left > 0) {
    const name = cursor.take(cursor.u8());
    if (name.length === 0) cursor.fail('empty ALPN name');
    names.push(name.toString('latin1'));
  }
  cursor.close(outer);
  return names;
}

function readPointFormats(cursor: ByteCursor): number[] {
  const formats = cursor.take(cursor.u8());
  if (formats.length === 0) cursor.fail('empty list of point formats');
  return [...formats];
}
