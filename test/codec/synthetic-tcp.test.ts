import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { packetBlock, sectionHeader } from '../../src/codec/pcapng.ts';
import { SyntheticTcp } from '../../src/codec/synthetic-tcp.ts';
import { hasProgram, run } from '../support/run.ts';

const sequence = { client: 0xffff_ff00, origin: 7 };
const four = { client: { ip: '10.1.0.23', port: 51_324 }, origin: { ip: '203.0.113.80', port: 8080 } };
const six = { client: { ip: '2001:db8::7', port: 40_000 }, origin: { ip: '2001:db8::80', port: 8080 } };
const request = Buffer.from('GET /page HTTP/1.1\r\nHost: shop.example\r\n\r\n');
const body = Buffer.alloc(150_001, 'abcdefghij');
const response = Buffer.concat([Buffer.from(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n`), body]);

/** An exchange of HTTP as packets. */
function exchange({ client, origin }: typeof four, isCut = false): readonly Buffer[] {
  const tcp = new SyntheticTcp(client, origin, sequence);
  return [
    ...tcp.open(),
    ...tcp.data('client', request),
    ...tcp.data('origin', response.subarray(0, 70_000)),
    ...tcp.data('origin', response.subarray(70_000)),
    ...(isCut ? [] : tcp.end('origin')),
    ...tcp.data('origin', isCut ? Buffer.alloc(0) : Buffer.from('nothing follows an end')),
    ...tcp.close(isCut),
    ...tcp.close(isCut),
  ];
}

describe('a conversation as packets', () => {
  it('fits the MTU, and says everything once', () => {
    for (const [addresses, headers] of [
      [four, 40],
      [six, 60],
    ] as const) {
      const packets = exchange(addresses);
      expect(Math.max(...packets.map(({ length }) => length))).toBe(1_500);
      const payload = packets.slice(3).reduce((sum, packet) => sum + packet.length - headers, 0);
      expect(payload).toBe(request.length + response.length);
    }
  });

  it('writes an IPv4 address among IPv6 ones as a mapped one', () => {
    const [syn] = new SyntheticTcp(four.client, six.origin, sequence).open();
    expect(syn?.subarray(8, 24).toString('hex')).toBe('00000000000000000000ffff0a010017');
  });
});

describe.runIf(hasProgram('tshark'))('a file of such packets', () => {
  const tshark = async (packets: readonly Buffer[], ...args: string[]): Promise<string> => {
    const folder = mkdtempSync(join(tmpdir(), 'daylight-pcapng-'));
    try {
      const file = join(folder, 'test.pcapng');
      const blocks = packets.map((packet, index) =>
        packetBlock(packet, 1_768_469_400_000_000 + index, index === 0 ? 'packet 0' : undefined),
      );
      writeFileSync(file, Buffer.concat([sectionHeader('a comment', 'a test'), ...blocks]));
      const checks = ['-o', 'ip.check_checksum:TRUE', '-o', 'tcp.check_checksum:TRUE'];
      const { code, stdout, stderr } = await run('tshark', ['-n', '-r', file, ...checks, ...args]);
      expect([code, stderr]).toEqual([0, expect.not.stringContaining('damaged')]);
      return stdout;
    } finally {
      rmSync(folder, { recursive: true });
    }
  };

  it.each([
    ['IPv4', exchange(four)],
    ['IPv6', exchange(six)],
    ['both', exchange({ client: four.client, origin: six.origin })],
    ['IPv4, cut', exchange(four, true)],
  ])('has nothing that tshark remarks on: %s', async (name, packets) => {
    const fields = ['_ws.expert.message', 'tcp.analysis.flags', 'tcp.checksum.status', 'ip.checksum.status'];
    const rows = await tshark(packets, '-T', 'fields', ...fields.flatMap((field) => ['-e', field]));
    const lines = rows
      .trimEnd()
      .split('\n')
      .map((line) => line.split('\t'));
    expect(lines).toHaveLength(packets.length);
    const remarks = new Set(lines.flatMap(([remark = '']) => remark.split(',')));
    const plain =
      /^(?:|Connection (?:establish|finish|reset) .*|(?:GET|HTTP)\b.*|packet 0|This frame (?:initiates|undergoes) the connection closing)$/;
    expect([...remarks].filter((remark) => !plain.test(remark.replaceAll('\\r\\n', '')))).toEqual([]);
    expect(new Set(lines.map(([, flags]) => flags))).toEqual(new Set(['']));
    expect(new Set(lines.map(([, , tcp, ip]) => `${tcp} ${ip || '1'}`)), name).toEqual(new Set(['1 1']));
  });

  it('is dissected as HTTP, and gives back the bytes', async () => {
    const packets = exchange(four);
    const fields = [
      '-Y',
      'http',
      '-T',
      'fields',
      '-e',
      'http.request.uri',
      '-e',
      'http.response.code',
      '-e',
      'http.content_length',
    ];
    expect(
      (await tshark(packets, ...fields))
        .trim()
        .split('\n')
        .map((line) => line.trim()),
    ).toEqual(['/page', '200\t150001']);
    const followed = await tshark(packets, '-q', '-z', 'follow,tcp,raw,0');
    const hex = followed.split('\n').filter((line) => /^\t?[0-9a-f]+$/.test(line));
    const said = (isOrigin: boolean): string =>
      hex
        .filter((line) => line.startsWith('\t') === isOrigin)
        .map((line) => line.trim())
        .join('');
    expect(said(false)).toBe(request.toString('hex'));
    expect(said(true) === response.toString('hex')).toBe(true);
    expect(await tshark(packets, '-T', 'fields', '-e', 'frame.comment', '-c', '1')).toBe('packet 0\n');
  });
});
