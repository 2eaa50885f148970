import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ArchiveBudget, ArchiveContent, type ArchiveSink } from '../../src/codec/archive.ts';
import { limits } from '../../src/core/limits.ts';
import { tar, zip } from '../support/archives.ts';

interface Seen {
  readonly names: string[];
  readonly types: string[];
  readonly troubles: string[];
}

/** Looks into a file that comes in pieces of that size. */
function look(
  file: Buffer,
  { piece = file.length || 1, isScanned = false, isCut = false, now = (): number => 0 } = {},
): Seen {
  const seen: Seen = { names: [], types: [], troubles: [] };
  const sink: ArchiveSink = {
    names: (names) => seen.names.push(...names),
    type: (type) => seen.types.push(type),
    trouble: (trouble) => seen.troubles.push(trouble),
  };
  const budget = new ArchiveBudget(sink, now);
  const content = new ArchiveContent(budget, 0, isScanned);
  for (let at = 0; at < file.length; at += piece) {
    // A view that is overwritten afterwards, as those of decoders are.
    const view = Buffer.from(file.subarray(at, at + piece));
    content.push(view);
    view.fill(0xaa);
  }
  if (isCut) content.close();
  else content.end();
  return seen;
}

const program = Buffer.concat([Buffer.from('4d5a90000300000004000000ffff0000', 'hex'), Buffer.alloc(2_000, 7)]);
const programType = 'application/vnd.microsoft.portable-executable';
const text = Buffer.from('some words that stand for a letter\n'.repeat(40));

describe('a zip archive', () => {
  const plain = zip([
    { name: 'letter.txt', data: text },
    { name: 'tools/run.exe', data: program },
    { name: 'stored.exe', data: program, method: 0 },
    { name: 'streamed.exe', data: program, flags: 8 },
    { name: 'last.txt', data: text, flags: 8 },
  ]);
  const expected: Seen = {
    names: ['letter.txt', 'tools/run.exe', 'stored.exe', 'streamed.exe', 'last.txt'],
    types: [programType, programType, programType],
    troubles: [],
  };

  it('tells names and true types of its members, cut anywhere', () => {
    for (const piece of [1, 2, 3, 7, 100, 511, plain.length]) expect(look(plain, { piece })).toEqual(expected);
  });

  it('of every kind that Python writes is read without trouble', () => {
    const directory = mkdtempSync(join(tmpdir(), 'daylight-zip-'));
    const script = `
import io, os, sys, tarfile, zipfile
for mode in ['stored', 'deflated']:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, 'w', zipfile.ZIP_STORED if mode == 'stored' else zipfile.ZIP_DEFLATED) as z:
        for i in range(50): z.writestr('%s/%d.bin' % (mode, i), os.urandom(3000) + b'PK' + os.urandom(10))
        z.writestr('gr\\u00fc\\u00dfe.exe', bytes.fromhex('4d5a90000300000004000000ffff') + bytes(5000))
    open(sys.argv[1] + '/' + mode + '.zip', 'wb').write(buffer.getvalue())
class Unseekable(io.RawIOBase):
    def __init__(self): self.parts = []
    def writable(self): return True
    def write(self, b): self.parts.append(bytes(b)); return len(b)
out = Unseekable()
with zipfile.ZipFile(out, 'w', zipfile.ZIP_DEFLATED) as z:
    z.write(sys.argv[1] + '/stored.zip', 'inner/stored.zip')
    z.write(sys.argv[1] + '/deflated.zip', 'inner/deflated.zip')
open(sys.argv[1] + '/nested.zip', 'wb').write(b''.join(out.parts))
for name, mode in [('plain', 'w'), ('gz', 'w:gz')]:
    for form in [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]:
        with tarfile.open('%s/%s-%d.tar' % (sys.argv[1], name, form), mode, format=form) as t:
            t.add(sys.argv[1] + '/nested.zip', 'a/' * 60 + 'nested.zip')
            t.add(sys.argv[1] + '/nested.zip', 'b' * (90 if form == 0 else 150) + '.zip')
`;
    try {
      const made = spawnSync('python3', ['-c', script, directory]);
      expect(made.status, String(made.stderr)).toBe(0);
      const read = (name: string) => {
        const { stdout } = spawnSync('cat', [join(directory, name)], { maxBuffer: 1e8 });
        return look(stdout, { piece: 1_000, isScanned: true });
      };
      for (const mode of ['stored', 'deflated']) {
        const { names, types, troubles } = read(`${mode}.zip`);
        expect({ count: names.length, troubles }).toEqual({ count: 51, troubles: [] });
        expect(names.map((name) => Buffer.from(name, 'latin1').toString())).toContain('grüße.exe');
        expect(types).toContain(programType);
      }
      const nested = read('nested.zip');
      expect(nested.troubles).toEqual([]);
      expect(nested.names).toHaveLength(2 + 51 + 50);
      for (const name of ['plain-0', 'plain-1', 'plain-2', 'gz-0', 'gz-1', 'gz-2']) {
        const { names, troubles } = read(`${name}.tar`);
        expect({ name, troubles }).toEqual({ name, troubles: [] });
        expect(names).toContain(`${'a/'.repeat(60)}nested.zip`);
        expect(names).toContain(`${'b'.repeat(name.endsWith('0') ? 90 : 150)}.zip`);
        expect(names).toContain('inner/deflated.zip');
        expect(names).toContain('deflated/49.bin');
      }
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });

  it('is found behind a program, where every file is looked through', () => {
    const file = Buffer.concat([program, plain]);
    expect(look(file).names).toEqual([]);
    expect(look(file, { isScanned: true, piece: 999 })).toEqual(expected);
  });

  it('tells every name that a reader may take', () => {
    const unicode = Buffer.concat([Buffer.from([0x75, 0x70, 13, 0, 1, 0, 0, 0, 0]), Buffer.from('evil.exe')]);
    const file = zip([
      { name: 'a.txt', extra: unicode },
      { name: 'b.exe\0.txt' },
      { name: 'c.txt', listed: { name: 'c.exe' } },
    ]);
    expect(look(file)).toEqual({
      names: ['a.txt', 'evil.exe', 'b.exe\0.txt', 'b.exe', 'c.txt', 'c.exe'],
      types: [],
      troubles: [],
    });
  });

  it('tells of members that are encrypted, or packed in a way that nobody reads here', () => {
    expect(look(zip([{ name: 'a.exe', data: program, flags: 1 }]))).toMatchObject({
      names: ['a.exe'],
      troubles: ['encrypted'],
    });
    expect(look(zip([{ name: 'a.exe', data: program, method: 99 }])).troubles).toEqual(['encrypted']);
    expect(look(zip([{ name: 'a.exe', data: program, method: 14 }]))).toMatchObject({
      names: ['a.exe'],
      types: [],
      troubles: ['incomplete'],
    });
  });

  it('that hides a member from one kind of readers tells its name, and that it was not looked into', () => {
    const hidden = zip([{ name: 'evil.exe', data: program }]);
    // Its header stands in the data of the first member, and the directory may lead there.
    const lengths = [1_000_000, undefined];
    for (const compressed of lengths) {
      const file = zip([
        {
          name: 'letter.txt',
          data: Buffer.concat([text, hidden]),
          method: 0,
          ...(compressed === undefined ? {} : { told: { compressed } }),
        },
      ]);
      const { names, troubles } = look(file, { piece: 50 });
      expect(names).toEqual(['letter.txt', 'evil.exe']);
      expect(troubles).toEqual(['incomplete']);
    }
    // Behind what the header in front says: met like any other.
    const behind = zip([{ name: 'a.txt', data: Buffer.concat([text, hidden]), method: 0, told: { compressed: 100 } }]);
    expect(look(behind)).toEqual({ names: ['a.txt', 'evil.exe'], types: [programType], troubles: [] });
    // Named in the directory alone.
    const ghost = zip([
      { name: 'a.txt', data: text },
      { name: 'b.txt', data: text, listed: { name: 'b.exe', at: 7 } },
    ]);
    expect(look(ghost)).toMatchObject({ names: ['a.txt', 'b.txt', 'b.exe'], troubles: ['incomplete'] });
  });

  it('that is damaged or cut is told as such', () => {
    expect(look(plain.subarray(0, 200)).troubles).toEqual(['incomplete']);
    const damaged = Buffer.from(zip([{ name: 'a.zip', data: zip([{ name: 'x' }]) }]));
    damaged.fill(0xff, 40, 60);
    expect(look(damaged)).toMatchObject({ names: ['a.zip'], troubles: ['incomplete'] });
  });
});

describe('archives within archives', () => {
  const inner = zip([{ name: 'deep.exe', data: program }]);
  const file = zip([{ name: 'a.tar.gz', data: gzipSync(tar([{ name: 'b.zip', data: inner }]), { level: 0 }) }]);

  it('are looked into, cut anywhere', () => {
    for (const piece of [1, 13, 500, file.length]) {
      expect(look(file, { piece })).toEqual({
        names: ['a.tar.gz', 'b.zip', 'deep.exe'],
        types: ['application/gzip', 'application/x-tar', 'application/zip', programType],
        troubles: [],
      });
    }
  });

  it('are followed to a depth, and told beyond it', () => {
    let nested = inner;
    for (let level = 0; level < limits.archiveDepth + 2; level += 1) {
      nested = zip([{ name: `level-${level}.zip`, data: nested, method: 8 }]);
    }
    const { names, troubles } = look(nested);
    expect(names).toHaveLength(limits.archiveDepth);
    expect(troubles).toEqual(['incomplete']);
  });
});

describe('a tar archive', () => {
  it('tells names of every form, cut anywhere', () => {
    const long = `${'d'.repeat(120)}/long.exe`;
    const pax = (value: string) => Buffer.from(`${value.length + 9} path=${value}\n`);
    const file = tar([
      { name: 'a.txt', data: text },
      { name: 'short', prefix: 'in/front' },
      { name: '././@LongLink', kind: 'L', data: Buffer.from(`${long}\0`) },
      { name: 'd'.repeat(100), data: program },
      { name: 'PaxHeader', kind: 'x', data: pax('pax/name.exe') },
      { name: 'pax/name.ex_', data: program },
      { name: 'link', kind: '2' },
    ]);
    for (const piece of [1, 100, 512, file.length]) {
      expect(look(file, { piece })).toEqual({
        names: ['a.txt', 'in/front/short', long, 'd'.repeat(100), 'pax/name.exe', 'pax/name.ex_', 'link'],
        types: [programType, programType],
        troubles: [],
      });
    }
  });

  it('that readers take apart in two ways, or that is damaged or cut, is told as such', () => {
    const files = [
      tar([{ name: 'link', kind: '1', data: text }, { name: 'b' }]),
      Buffer.concat([tar([{ name: 'a', data: text }], false), Buffer.alloc(512, 1), tar([{ name: 'b' }])]),
      tar([{ name: 'a', data: text }], false).subarray(0, 600),
    ];
    for (const file of files) expect(look(file).troubles).toEqual(['incomplete']);
    // A size without content, as some readers have it: what follows is listed.
    const sized = Buffer.from(tar([{ name: 'directory', kind: '5' }, { name: 'b' }]));
    sized.write('00000000377', 124, 'latin1');
    sized.write('        ', 148, 'latin1');
    const sum = sized.subarray(0, 512).reduce((total, byte) => total + byte, 0);
    sized.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
    expect(look(sized)).toMatchObject({ names: ['directory', 'b'], troubles: ['incomplete'] });
    expect(look(Buffer.concat([tar([{ name: 'a' }]), tar([{ name: 'b' }])])).names).toEqual(['a', 'b']);
  });
});

describe('a hostile archive', () => {
  it('that grows without end is given up early', () => {
    const bomb = gzipSync(Buffer.concat([tar([{ name: 'zeros', data: Buffer.alloc(60_000_000) }])]), { level: 9 });
    const startMs = performance.now();
    expect(look(bomb, { piece: 16_384 }).troubles).toEqual(['incomplete']);
    expect(performance.now() - startMs).toBeLessThan(2_000);
  });

  it('that names a member without end, and has none, is bounded in memory', () => {
    const pax = (index: number) => ({ name: 'p', kind: 'x', data: Buffer.from(`12 path=${index}\n`) });
    const long = (index: number) => ({ name: 'p', kind: 'L', data: Buffer.from(`${index}\0`) });
    const most = limits.archiveNamesOfMember;
    for (const head of [pax, long]) {
      const heads = (count: number) => Array.from({ length: count }, (_, index) => head(100 + index));
      expect(look(tar([...heads(most), { name: 'last' }]))).toMatchObject({
        names: { length: most + 1 },
        troubles: [],
      });
      const { names, troubles } = look(tar([...heads(most + 20), { name: 'last' }]));
      expect(names).toHaveLength(most + 1);
      expect(troubles).toEqual(['incomplete']);
    }
  });

  it('that looks like headers all over holds up the gateway for a bounded time', () => {
    const head = Buffer.from(zip([{ name: 'y' }]).subarray(0, 31));
    const long = Buffer.from(head);
    long.writeUInt16LE(4_000, 26);
    for (const filling of [Buffer.from('PK'), head, long, Buffer.from('PK\x03\x04')]) {
      const inner = Buffer.concat([head, Buffer.alloc(60_000_000, filling)]);
      const pad = { name: 'pad', data: Buffer.alloc(700_000, 7), method: 0 };
      const file = zip([pad, { name: 'bomb.zip', data: inner }]);
      const startMs = performance.now();
      expect(look(file, { piece: 65_536, now: () => performance.now() }).names).toContain('bomb.zip');
      // All of it in one call, near enough: what is allowed, and one step.
      expect(performance.now() - startMs).toBeLessThan(limits.archiveBurstMs * 4);
    }
  });

  it('that took its time is not looked into any further', () => {
    const troubles: string[] = [];
    const sink = {
      names: () => undefined,
      type: () => undefined,
      trouble: (trouble: string) => troubles.push(trouble),
    };
    let nowMs = 1_000;
    const budget = new ArchiveBudget(sink, () => nowMs);
    budget.resume(1_048_576);
    nowMs += limits.archiveBurstMs;
    expect(budget.isSpent).toBe(false);
    budget.pause();
    // Time between the pieces does not count, and each piece adds some.
    nowMs += 1_000_000;
    budget.resume(1_048_576);
    nowMs += limits.archiveMsPerMebibyte;
    expect(budget.make(1)).toBe(true);
    nowMs += 1;
    expect(budget.make(1)).toBe(false);
    expect(troubles).toEqual(['incomplete']);
    const content = new ArchiveContent(budget);
    content.push(zip([{ name: 'a', data: Buffer.from(program) }]));
    content.push(Buffer.alloc(600));
    expect(content.isWanted).toBe(false);
  });

  it('of members without number is listed to a limit', () => {
    const members = Array.from({ length: limits.archiveMembers + 50 }, (_, index) => ({ name: `m${index}` }));
    for (const file of [zip(members), tar(members)]) {
      const { names, troubles } = look(file, { piece: 65_536 });
      expect(names).toHaveLength(limits.archiveMembers);
      expect(troubles).toEqual(['incomplete']);
    }
  });

  it('with a name beyond the limit is told as such', () => {
    const name = `${'n'.repeat(limits.archiveNameBytes)}.exe`;
    expect(look(zip([{ name }, { name: 'b' }]))).toMatchObject({ names: ['b'], troubles: ['incomplete'] });
    const long = tar([{ name: 'x', kind: 'L', data: Buffer.from(name) }, { name: 'short' }]);
    expect(look(long).troubles).toEqual(['incomplete']);
  });

  it('of any bytes does no harm', () => {
    const pieces = fc.constantFrom(
      Buffer.from('PK\x03\x04'),
      Buffer.from('PK\x01\x02'),
      Buffer.from([0x1f, 0x8b, 8, 8]),
      zip([{ name: 'a', data: text }]),
      tar([{ name: 'b', data: text }]),
      gzipSync(text),
      Buffer.alloc(30),
    );
    const piece = fc.oneof(
      pieces,
      fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
    );
    fc.assert(
      fc.property(
        fc.array(piece, { maxLength: 12 }),
        fc.integer({ min: 1, max: 700 }),
        fc.boolean(),
        (all, size, cut) => {
          const file = Buffer.concat(all);
          const whole = look(file, { isScanned: true, isCut: cut });
          // Two readers beside each other take turns with every piece.
          const { names } = look(file, { isScanned: true, piece: size, isCut: cut });
          expect(names.sort()).toEqual(whole.names.sort());
        },
      ),
      { numRuns: 500 },
    );
  });
});
