import { describe, expect, it } from 'vitest';
import { TlsRecords } from '../../src/codec/tls-records.ts';

const record = (type: number, length: number) => {
  const bytes = Buffer.alloc(5 + length, 0x41);
  bytes[0] = type;
  bytes.writeUInt16BE(0x0303, 1);
  bytes.writeUInt16BE(length, 3);
  return bytes;
};
const taken = (records: TlsRecords) => {
  const found: Buffer[] = [];
  for (let next = records.take(); next !== undefined; next = records.take()) found.push(next);
  return found;
};

describe('records of TLS', () => {
  const sent = [record(23, 40), record(21, 2), record(23, 16_384 + 256), record(22, 0)];
  const plaintext = Buffer.from('PWD\r\n');

  it('are found wherever the bytes are cut, and what stands behind the last is none', () => {
    const bytes = Buffer.concat([...sent, plaintext]);
    const cuts = [
      1,
      2,
      3,
      4,
      5,
      6,
      44,
      45,
      46,
      51,
      52,
      53,
      57,
      58,
      bytes.length - 6,
      bytes.length - 5,
      bytes.length - 1,
    ];
    for (const cut of cuts) {
      const records = new TlsRecords();
      records.push(bytes.subarray(0, cut));
      const found = taken(records);
      records.push(bytes.subarray(cut));
      found.push(...taken(records));
      expect(Buffer.concat(found).equals(Buffer.concat(sent)), `cut at ${cut}`).toBe(true);
      expect(found.map(({ length }) => length)).toEqual(sent.map(({ length }) => length));
      expect(records.isForeign).toBe(true);
      expect(records.rest()?.equals(plaintext)).toBe(true);
      expect(records.rest()).toBeUndefined();
    }
  });

  it('come one by one, however many there are', () => {
    const records = new TlsRecords();
    for (const byte of Buffer.concat([record(23, 40), record(21, 2), record(23, 300), record(22, 0)]))
      records.push(Buffer.of(byte));
    expect(records.take()?.equals(record(23, 40))).toBe(true);
    expect(records.isForeign).toBe(false);
    expect(taken(records)).toHaveLength(3);
    expect(records.isForeign).toBe(false);
  });

  it('that are longer than any may be are left to TLS with all that follows, and nothing is plaintext any more', () => {
    const records = new TlsRecords();
    records.push(record(23, 16_384 + 2_049).subarray(0, 100));
    expect(records.take()).toHaveLength(100);
    records.push(plaintext);
    expect(records.isForeign).toBe(false);
    expect(records.take()?.equals(plaintext)).toBe(true);
  });
});
