import { gzipSync } from 'node:zlib';
import type { RecordedFile } from './demo-records.ts';

/** A document of one empty page. */
const pdf = Buffer.from(
  [
    '%PDF-1.4',
    '1 0 obj <</Type/Catalog/Pages 2 0 R>> endobj',
    '2 0 obj <</Type/Pages/Kids[3 0 R]/Count 1>> endobj',
    '3 0 obj <</Type/Page/Parent 2 0 R/MediaBox[0 0 300 200]>> endobj',
    'trailer <</Root 1 0 R>>',
    '%%EOF',
    '',
  ].join('\n'),
);

/** The head of a Windows program that does nothing: without a section, no system starts it. */
const program = windowsHead();

/** Packed rows of a table. */
const archive = gzipSync('order,item,pieces\n1,lamp,2\n2,chair,4\n');

/** A text with the first line of a private key, and no key. */
const privateKey = Buffer.from(`Our server key:\n${['-----BEGIN', 'PRIVATE KEY-----'].join(' ')}\nNot a real one.\n`);

/** What is sent, by name: one of each pair has nothing to hide. */
export const sampleFiles = {
  'report.pdf': pdf,
  'invoice.pdf': program,
  'orders.csv.gz': archive,
  'backup.txt': privateKey,
} as const;

/** A file in a record, for people. */
export function describedFile({ name, mime_type, size, hashes }: RecordedFile): string {
  const facts = [mime_type, size === undefined ? undefined : `${size} bytes`, shortHash(hashes?.[0]?.value)];
  return `${name ?? 'unnamed'}, ${facts.filter((fact) => fact !== undefined).join(', ')}`;
}

function shortHash(hash: string | undefined): string | undefined {
  return hash === undefined ? undefined : `SHA-256 ${hash.slice(0, 16)}…`;
}

function windowsHead(): Buffer {
  const bytes = Buffer.alloc(512);
  bytes.write('MZ', 0, 'latin1');
  bytes.writeUInt32LE(128, 0x3c);
  bytes.write('PE\0\0', 128, 'latin1');
  return bytes;
}
