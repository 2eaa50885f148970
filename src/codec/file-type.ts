import { isUtf8 } from 'node:buffer';
import { createRequire } from 'node:module';

/** Bytes by which a type is told; that of a tar archive stands at 257. */
export const fileHeadBytes = 512;

const textProbeBytes = 64;

/** Formats of programs, for which the library names no media type. */
const programs: Readonly<Record<string, string>> = {
  exe: 'application/vnd.microsoft.portable-executable',
  class: 'application/java-vm',
};

type Formats = typeof import('magic-bytes.js');

/** Loaded when the first file is met that is no text: its tables take some megabytes while they are made. */
let formats: Formats | undefined;

function loadFormats(): Formats {
  const loaded = createRequire(import.meta.url)('magic-bytes.js') as Formats;
  // Formats that the library does not know.
  loaded.register('xz', ['0xfd', '0x37', '0x7a', '0x58', '0x5a', '0x00'], {
    mime: 'application/x-xz',
    extension: 'xz',
  });
  loaded.register('zst', ['0x28', '0xb5', '0x2f', '0xfd'], { mime: 'application/zstd', extension: 'zst' });
  loaded.register('lnk', ['0x4c', '0x00', '0x00', '0x00', '0x01', '0x14', '0x02', '0x00'], {
    mime: 'application/x-ms-shortcut',
    extension: 'lnk',
  });
  return loaded;
}

/** Loads what takes time once per process. */
export function prepareFileTypes(): void {
  formats ??= loadFormats();
}

/** The media type that the first bytes of a file tell, whatever it was declared to be; undefined for text and the unknown. */
export function fileTypeOf(head: Buffer): string | undefined {
  const start = head.length > fileHeadBytes ? head.subarray(0, fileHeadBytes) : head;
  if (isText(start)) return undefined;
  formats ??= loadFormats();
  const [found] = formats.filetypeinfo(start);
  if (found === undefined) return undefined;
  return found.mime ?? programs[found.typename] ?? `application/x-${found.typename.toLowerCase()}`;
}

/** Whether a type is that of a program, an archive or a document, and not of what makes up a page. */
export function isFileOfItsOwn(type: string): boolean {
  return type.startsWith('application/') && type !== 'application/wasm';
}

/** Whether the first bytes are those of text. It has no magic; two formats that look like it have. */
export function isText(head: Buffer): boolean {
  const [first, second] = head;
  if (first === 0x25 || (first === 0x7b && second === 0x5c)) return false;
  // No format begins with so many printable characters.
  const probed = Math.min(head.length, textProbeBytes);
  for (let at = 0; at < probed; at++) {
    const byte = head[at] as number;
    if (byte < 0x07 || (byte > 0x0d && byte < 0x20 && byte !== 0x1b)) return false;
  }
  return isUtf8(head);
}
