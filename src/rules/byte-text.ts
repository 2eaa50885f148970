/**
 * A text as heads and bodies hold it: one character per byte of its UTF-8 form. Heads come so from the wire, and text
 * from rules and configuration is brought into this form before it is compared.
 */
export function byteText(text: string): string {
  return isAscii(text) ? text : Buffer.from(text, 'utf8').toString('latin1');
}

/** The bytes that a byte text stands for. */
export function bytesOfText(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}

function isAscii(text: string): boolean {
  for (let index = 0; index < text.length; index++) if (text.charCodeAt(index) > 0x7f) return false;
  return true;
}
