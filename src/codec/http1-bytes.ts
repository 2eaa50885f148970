/** Byte classes of HTTP/1.1: a table look-up per byte is what keeps a strict scan of a head below a microsecond. */

export const cr = 0x0d;
export const lf = 0x0a;
export const space = 0x20;
export const tab = 0x09;
export const colon = 0x3a;

/** What a scan answers instead of a position when it ran out of bytes. */
export const partial = -1;
/** What a scan answers instead of a position when the bytes are refused; the scanner holds why. */
export const refused = -2;

const tokenSymbols = "!#$%&'*+-.^_`|~";

/** tchar (RFC 9110 section 5.6.2). */
export const tokenBytes = table((byte) => isAlphanumeric(byte) || tokenSymbols.includes(String.fromCharCode(byte)));

/** Bytes of a field value or reason phrase: HTAB, SP, VCHAR and obs-text (RFC 9110 section 5.5). */
export const valueBytes = table((byte) => byte === tab || (byte >= space && byte !== 0x7f));

/**
 * Bytes of a request target. Wider than RFC 3986: clients do send `|`, `"` and raw UTF-8, no recipient takes those for a
 * delimiter, and the bytes are forwarded as they are. A fragment is never sent (RFC 9112 section 3.2).
 */
export const targetBytes = table((byte) => byte > space && byte !== 0x7f && byte !== 0x23);

/** Value of a hexadecimal digit, 255 for every other byte. */
export const hexValues = Uint8Array.from({ length: 256 }, (_, byte) => {
  const value = '0123456789abcdef'.indexOf(String.fromCharCode(byte).toLowerCase());
  return value < 0 ? 255 : value;
});

function table(holds: (byte: number) => boolean): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, byte) => (holds(byte) ? 1 : 0));
}

function isAlphanumeric(byte: number): boolean {
  return (byte >= 0x30 && byte <= 0x39) || (byte >= 0x41 && byte <= 0x5a) || (byte >= 0x61 && byte <= 0x7a);
}
