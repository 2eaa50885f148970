import { cr, tokenBytes, valueBytes } from './http1-bytes.ts';

/** Where in `;name[=value]` (RFC 9112 section 7.1.1) the next byte stands. */
export type ExtensionState = 'name-start' | 'name' | 'value-start' | 'value' | 'quoted' | 'escaped' | 'quoted-end';

/**
 * What follows a byte of a chunk extension: the next state, `end` for the CR that ends the line, undefined where the byte is
 * refused. Extensions mean nothing, but recipients that skip them loosely disagree on where they end.
 */
export function afterExtensionByte(state: ExtensionState, byte: number): ExtensionState | 'end' | undefined {
  switch (state) {
    case 'name-start':
      return tokenBytes[byte] === 1 ? 'name' : undefined;
    case 'name':
      if (byte === equals) return 'value-start';
      return tokenBytes[byte] === 1 ? 'name' : afterExtension(byte);
    case 'value-start':
      if (byte === quote) return 'quoted';
      return tokenBytes[byte] === 1 ? 'value' : undefined;
    case 'value':
      return tokenBytes[byte] === 1 ? 'value' : afterExtension(byte);
    case 'quoted':
      if (byte === quote) return 'quoted-end';
      if (byte === backslash) return 'escaped';
      return valueBytes[byte] === 1 ? 'quoted' : undefined;
    case 'escaped':
      return valueBytes[byte] === 1 ? 'quoted' : undefined;
    case 'quoted-end':
      return afterExtension(byte);
  }
}

const equals = 0x3d;
const quote = 0x22;
const backslash = 0x5c;
const semicolon = 0x3b;

function afterExtension(byte: number): ExtensionState | 'end' | undefined {
  if (byte === semicolon) return 'name-start';
  return byte === cr ? 'end' : undefined;
}
