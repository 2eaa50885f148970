import { isAscii, isUtf8 } from 'node:buffer';
import { maskExcerpt } from './redact.ts';
import { isSuspect, screenBytes } from './screen.ts';

/** Bytes of a body that is no text which are shown: enough to know its kind by. */
const magicBytes = 32;
/** The same where those bytes, read as text of any width, may hold a secret. */
const suspectMagicBytes = 8;

export interface Body {
  /** The first bytes; undefined when none are kept or there are none. */
  readonly excerpt: Buffer | undefined;
  /** Length of the whole body. */
  readonly bytes: number;
  /** Content coding, if any: secrets cannot be found in coded bytes, so none are shown. */
  readonly coding: string | undefined;
}

/** JSON of the excerpt of a body, masked; undefined when there is nothing to say. */
export function excerptText({ excerpt, bytes, coding }: Body): string | undefined {
  if (excerpt === undefined || excerpt.length === 0) return undefined;
  if (coding !== undefined) return `{"omitted":${JSON.stringify(`content-encoding ${coding.slice(0, 64)}`)}}`;
  const isCut = bytes > excerpt.length;
  const screening = screenBytes(excerpt);
  const text = screening === 'binary' ? undefined : decode(excerpt, isCut);
  if (text !== undefined) return `{"text":${JSON.stringify(maskExcerpt(text, screening, isCut))}${truncation(isCut)}}`;
  const readable = excerpt.toString('latin1', 0, magicBytes).replace(/[^ -~]/g, '');
  const shownBytes = isSuspect(readable) ? suspectMagicBytes : magicBytes;
  return `{"hex":"${excerpt.toString('hex', 0, shownBytes)}"${truncation(bytes > shownBytes)}}`;
}

function truncation(isCut: boolean): string {
  return isCut ? ',"is_truncated":true' : '';
}

/** UTF-8, or ISO 8859-1 when no byte is one of its control characters; undefined when it is neither. */
function decode(bytes: Buffer, isCut: boolean): string | undefined {
  if (isAscii(bytes)) return bytes.toString('latin1');
  // A cut may have gone through a character of up to four bytes.
  for (let end = bytes.length; end >= bytes.length - (isCut ? 3 : 0); end -= 1) {
    const part = bytes.subarray(0, end);
    if (isUtf8(part)) return part.toString();
  }
  return bytes.some((byte) => byte >= 0x80 && byte < 0xa0) ? undefined : bytes.toString('latin1');
}
