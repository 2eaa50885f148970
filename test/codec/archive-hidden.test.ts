import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { ArchiveBudget, ArchiveContent } from '../../src/codec/archive.ts';
import { tar, unpackedBlocks, zip } from '../support/archives.ts';

/** Names and troubles of a file that comes in pieces of every kind. */
function look(file: Buffer, isScanned = true): { names: string[]; troubles: string[] } {
  const results = [file.length, 512, 97, 1].map((piece) => {
    const names: string[] = [];
    const troubles: string[] = [];
    const sink = {
      names: (told: readonly string[]) => names.push(...told),
      type: () => undefined,
      trouble: (trouble: string) => troubles.push(trouble),
    };
    const content = new ArchiveContent(new ArchiveBudget(sink, () => 0), 0, isScanned);
    for (let at = 0; at < file.length; at += piece) content.push(Buffer.from(file.subarray(at, at + piece)));
    content.end();
    return { names: names.sort(), troubles };
  });
  for (const result of results) expect(result).toEqual(results[0]);
  return results[0] ?? { names: [], troubles: [] };
}

const text = Buffer.from('some words that stand for a letter\n'.repeat(40));
const evil = zip([{ name: 'evil.exe', data: text }]);

/** A pax record with its own length in front. */
function record(key: string, value: string): Buffer {
  const rest = ` ${key}=${value}\n`;
  const length = [2, 3].map((digits) => rest.length + digits).find((sum, index) => String(sum).length === index + 2);
  return Buffer.from(`${length}${rest}`, 'latin1');
}

function named(kind: string, ...records: Buffer[]): Buffer {
  return tar([
    { name: 'p', kind, data: Buffer.concat(records) },
    { name: 'a.txt', data: text },
  ]);
}

describe('a name of a tar member', () => {
  it('is told in every form that a reader takes', () => {
    const both = { names: ['a.txt', 'evil.exe'], troubles: [] };
    expect(look(named('x', record('path', 'evil.exe')))).toEqual(both);
    expect(look(named('X', record('path', 'evil.exe')))).toEqual(both);
    expect(look(named('x', record('path', 'a\r\n12 x=evil.exe')))).toEqual({
      names: ['a\r\n12 x=evil.exe', 'a.txt'],
      troubles: [],
    });
  });

  it('that holds for all, or stands for a sparse file, is told with doubt', () => {
    const doubtful = { names: ['a.txt', 'evil.exe'], troubles: ['incomplete'] };
    expect(look(named('g', record('path', 'evil.exe')))).toEqual(doubtful);
    expect(look(named('x', record('GNU.sparse.major', '1'), record('GNU.sparse.name', 'evil.exe')))).toEqual(doubtful);
    expect(look(named('g', record('comment', 'no name')))).toEqual({ names: ['a.txt'], troubles: [] });
  });
});

describe('a tar archive', () => {
  it('whose lengths are told in two ways is doubtful', () => {
    const same = record('size', String(text.length));
    expect(look(named('x', same)).troubles).toEqual([]);
    for (const other of [record('size', '512'), record('size', 'many'), Buffer.from('99 size=1\n')]) {
      expect(look(named('x', other)).troubles).toEqual(['incomplete']);
    }
    expect(look(named('g', same)).troubles).toEqual(['incomplete']);
    expect(look(tar([{ name: 'directory/', kind: '\0', data: text }])).troubles).toEqual(['incomplete']);
    expect(look(tar([{ name: 'sparse', kind: 'S', data: text }])).troubles).toEqual(['incomplete']);
  });

  it('is one though its first name is empty, or begins like another format', () => {
    expect(look(tar([{ name: '' }, { name: 'evil.exe' }])).names).toEqual(['evil.exe']);
    for (const name of ['PK\x03\x04', '\x1f\x8b\x08']) {
      const { names, troubles } = look(tar([{ name }, { name: 'evil.exe' }]), false);
      expect(names).toContain('evil.exe');
      expect(troubles).toEqual(['incomplete']);
    }
  });

  it('of zip archives is told without trouble, with all that they hold', () => {
    const file = tar([
      {
        name: 'one.zip',
        data: zip([
          { name: 'one', data: text },
          { name: 'two', data: text },
        ]),
      },
      { name: 'two.zip', data: zip([{ name: 'three', data: evil, method: 0 }]) },
    ]);
    expect(look(file)).toEqual({ names: ['evil.exe', 'one', 'one.zip', 'three', 'two', 'two.zip'], troubles: [] });
  });
});

describe('a zip archive that is hidden', () => {
  it('at the end of a tar or gzip file is looked into', () => {
    const inTar = tar([{ name: 'a.txt', data: Buffer.concat([text, evil]) }], false);
    expect(look(inTar)).toEqual({ names: ['a.txt', 'evil.exe'], troubles: [] });
    for (const packed of [text, Buffer.alloc(200_000, 'a')]) {
      const inGzip = Buffer.concat([gzipSync(packed), Buffer.alloc(1), evil]);
      expect(look(inGzip).names).toEqual(['evil.exe']);
    }
  });

  it('behind the end of gzip is told as not looked into where no zip archive is looked for', () => {
    const packed = gzipSync(tar([{ name: 'a.txt' }]));
    expect(look(Buffer.concat([packed, Buffer.alloc(700), evil]), false).troubles).toEqual(['incomplete']);
    expect(look(Buffer.concat([packed, Buffer.alloc(700)]), false)).toEqual({ names: ['a.txt'], troubles: [] });
  });

  it('in the data of a member is told as not looked into, unless that is a zip archive that holds it', () => {
    const others = [gzipSync(text), Buffer.concat([gzipSync(text), Buffer.alloc(1)]), tar([{ name: 'b', data: text }])];
    for (const other of others) {
      const file = zip([{ name: 'a.gz', data: Buffer.concat([other, evil]), method: 0 }]);
      const { names, troubles } = look(file);
      expect(names).toContain('evil.exe');
      expect(troubles).toEqual(['incomplete']);
    }
    expect(look(zip([{ name: 'a.zip', data: evil, method: 0 }]))).toEqual({
      names: ['a.zip', 'evil.exe'],
      troubles: [],
    });
    // The header of the inner member has the hidden one in a field that its reader passes over.
    const covered = zip([{ name: 'b.txt', data: text, extra: Buffer.concat([Buffer.from([1, 9, 255, 0]), evil]) }]);
    expect(look(zip([{ name: 'a.zip', data: covered, method: 0 }])).troubles).toEqual(['incomplete']);
  });

  it('in the packed data of a zip archive is told as not looked into as well, however deflate has cut what is not hidden', () => {
    const honest = zip([
      { name: 'one.txt', data: text },
      { name: 'two.txt', data: text },
    ]);
    const directoryAt = honest.indexOf('PK\x01\x02', 'latin1');
    for (let cutAt = directoryAt - 8; cutAt < honest.length; cutAt++) {
      const packed = unpackedBlocks(honest, cutAt);
      const { names, troubles } = look(zip([{ name: 'a.zip', data: honest, packed }]));
      expect(names).toEqual(expect.arrayContaining(['a.zip', 'one.txt', 'two.txt']));
      expect({ cutAt, troubles }).toEqual({ cutAt, troubles: [] });
    }
    // Cut off anywhere, in the middle of a header too, it is no more than incomplete.
    const short = zip([{ name: 'a' }, { name: 'b' }]);
    const whole = zip([{ name: 'a.zip', data: short, packed: unpackedBlocks(short, 1) }]);
    for (
      let length = whole.indexOf('PK\x01\x02', 'latin1');
      length < whole.lastIndexOf('PK\x01\x02', -1, 'latin1');
      length++
    ) {
      expect(look(whole.subarray(0, length)).troubles).toEqual(['incomplete']);
    }
    const lying = (listed: { readonly name?: string; readonly at?: number }) =>
      look(zip([{ name: 'a.zip', data: zip([{ name: 'one.txt', data: text, listed }]) }]));
    expect(lying({ name: 'evil.exe' })).toEqual({ names: ['a.zip', 'evil.exe', 'one.txt'], troubles: [] });
    expect(lying({ at: 9 }).troubles).toEqual(['incomplete']);
    // Where its reader passes over them, in a field of a header.
    const extra = Buffer.concat([Buffer.from([1, 9, 255, 0]), evil]);
    const covered = zip([{ name: 'b.txt', data: text, extra }]);
    for (const cutAt of [1, covered.length - 1]) {
      const { names, troubles } = look(zip([{ name: 'a.zip', data: covered, packed: unpackedBlocks(covered, cutAt) }]));
      expect(names).toContain('evil.exe');
      expect(troubles).toEqual(['incomplete']);
    }
  });
});
