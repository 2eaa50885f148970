import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fileTypeOf, isFileOfItsOwn } from '../../src/codec/file-type.ts';

describe('the type of a file', () => {
  test.each<[string, string, string | undefined]>([
    ['PDF', '%PDF-1.7\n%', 'application/pdf'],
    ['RTF', '{\\rtf1\\ansi', 'application/rtf'],
    ['a Windows program', 'MZ\x90\0\x03\0\0\0', 'application/vnd.microsoft.portable-executable'],
    ['a Linux program', '\x7fELF\x02\x01\x01\0', 'application/x-executable'],
    ['zip', 'PK\x03\x04\x14\0\0\0', 'application/zip'],
    ['rar', 'Rar!\x1a\x07\0', 'application/vnd.rar'],
    ['7z', "7z\xbc\xaf'\x1c\0\x04", 'application/x-7z-compressed'],
    ['xz', '\xfd7zXZ\0', 'application/x-xz'],
    ['zstd', '\x28\xb5\x2f\xfd\x24', 'application/zstd'],
    ['an old Office document', '\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1', 'application/msword'],
    ['a shortcut', 'L\0\0\0\x01\x14\x02\0', 'application/x-ms-shortcut'],
    ['a Java class', '\xca\xfe\xba\xbe\0\0\0\x34', 'application/java-vm'],
    ['tar', `name${'\0'.repeat(253)}ustar\x0000`, 'application/x-tar'],
    ['PNG', '\x89PNG\r\n\x1a\n', 'image/png'],
    ['HTML', '<!doctype html>', undefined],
    ['JSON', '{"a":1}', undefined],
    ['text that begins like a program', 'MZ is a German car plate', undefined],
    ['nothing', '', undefined],
  ])('%s is told by its first bytes', (_, head, type) => {
    expect(fileTypeOf(Buffer.from(head, 'latin1'))).toBe(type);
  });

  test('is found for any bytes without a crash, however many', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
        expect([undefined, 'string']).toContain(fileTypeOf(Buffer.from(bytes)) === undefined ? undefined : 'string');
      }),
      { numRuns: 500 },
    );
  });

  test('says what is a file of its own, and what makes up a page', () => {
    expect(['application/pdf', 'image/png', 'font/woff2', 'application/zip'].filter(isFileOfItsOwn)).toEqual([
      'application/pdf',
      'application/zip',
    ]);
  });
});
