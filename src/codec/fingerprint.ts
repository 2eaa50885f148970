import { hash } from 'node:crypto';
import type { ClientFingerprints, ClientHello } from '../core/tls.ts';

/** The fingerprints of a client that came over TCP. */
export function fingerprintsOf(hello: ClientHello): ClientFingerprints {
  const ciphers = hello.cipherSuites.filter(isMeaningful);
  const extensions = hello.extensions.filter(isMeaningful);
  const ja3 = ja3Of(hello, ciphers, extensions);
  return { ja3, ja3Hash: hash('md5', ja3), ja4: ja4Of(hello, ciphers, extensions) };
}

/** JA3 (Salesforce, BSD-3): decimal numbers in wire order; an empty list stays as an empty field. */
function ja3Of(hello: ClientHello, ciphers: readonly number[], extensions: readonly number[]): string {
  const groups = hello.groups.filter(isMeaningful);
  return `${hello.legacyVersion},${ciphers.join('-')},${extensions.join('-')},${groups.join('-')},${hello.pointFormats.join('-')}`;
}

/** JA4 (FoxIO, BSD-3; of the family only this one is free): sorted lists, so that clients that shuffle extensions keep it. */
function ja4Of(hello: ClientHello, ciphers: readonly number[], extensions: readonly number[]): string {
  const named = hello.extensions.includes(serverNameExtension) ? 'd' : 'i';
  const start = `t${versionName(hello)}${named}${count(ciphers)}${count(extensions)}${alpnMark(hello.alpn[0])}`;
  return `${start}_${shortHash(sorted(ciphers))}_${extensionsHash(hello, extensions)}`;
}

const serverNameExtension = 0;
const alpnExtension = 16;

/** False for GREASE (RFC 8701): 0x0a0a, 0x1a1a, ..., 0xfafa, which clients choose at random. */
function isMeaningful(value: number): boolean {
  return (value & 0x0f0f) !== 0x0a0a || value >> 8 !== (value & 0xff);
}

/** The highest version offered. Drafts of TLS 1.3 and unknown versions are `00`, also when they are higher. */
function versionName(hello: ClientHello): string {
  let highest = 0;
  for (const version of hello.versions) if (version > highest && isMeaningful(version)) highest = version;
  return versionNames.get(highest === 0 ? hello.legacyVersion : highest) ?? '00';
}

const versionNames: ReadonlyMap<number, string> = new Map([
  [0x0304, '13'],
  [0x0303, '12'],
  [0x0302, '11'],
  [0x0301, '10'],
  [0x0300, 's3'],
]);

function count(values: readonly number[]): string {
  return String(Math.min(values.length, 99)).padStart(2, '0');
}

/** First and last character of the first ALPN name; of its hexadecimal form when one of the two is not alphanumeric. */
function alpnMark(name: string | undefined): string {
  if (name === undefined || name === '') return '00';
  const ends = name.charAt(0) + name.charAt(name.length - 1);
  if (alphanumericPair.test(ends)) return ends;
  const hex = Buffer.from(ends, 'latin1').toString('hex');
  return hex.charAt(0) + hex.charAt(3);
}

const alphanumericPair = /^[0-9A-Za-z]{2}$/;

/** Signature algorithms stay in wire order; server name and ALPN are left out, because they vary with the destination. */
function extensionsHash(hello: ClientHello, extensions: readonly number[]): string {
  const kept = extensions.filter((type) => type !== serverNameExtension && type !== alpnExtension);
  return shortHash(sorted(kept), hello.signatureAlgorithms.filter(isMeaningful));
}

/** Twelve digits of the SHA-256 over `aaaa,bbbb` or `aaaa,bbbb_cccc,dddd`; zeros when the first list is empty. */
function shortHash(values: ArrayLike<number>, more: ArrayLike<number> = []): string {
  if (values.length === 0) return '000000000000';
  // Written as bytes: building the text from strings costs twice as much as the hash.
  const text = Buffer.allocUnsafe((values.length + more.length) * hexWidth);
  let end = writeHex(text, 0, values);
  if (more.length > 0) {
    text[end - 1] = underscore;
    end = writeHex(text, end, more);
  }
  return hash('sha256', text.subarray(0, end - 1)).slice(0, 12);
}

function sorted(values: readonly number[]): Uint16Array {
  return new Uint16Array(values).sort();
}

/** Four digits and a comma. */
const hexWidth = 5;
const comma = 0x2c;
const underscore = 0x5f;
const hexDigits = Buffer.from('0123456789abcdef');

/** Writes each value as four digits and a comma; returns the offset behind the last comma. */
function writeHex(text: Buffer, start: number, values: ArrayLike<number>): number {
  let at = start;
  for (let index = 0; index < values.length; index++) {
    const value = values[index] ?? 0;
    text[at] = hexDigits[value >> 12] ?? 0;
    text[at + 1] = hexDigits[(value >> 8) & 0xf] ?? 0;
    text[at + 2] = hexDigits[(value >> 4) & 0xf] ?? 0;
    text[at + 3] = hexDigits[value & 0xf] ?? 0;
    text[at + 4] = comma;
    at += hexWidth;
  }
  return at;
}
