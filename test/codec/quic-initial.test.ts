import { describe, expect, it } from 'vitest';
import { fingerprintsOf } from '../../src/codec/fingerprint.ts';
import { helloOfPieces, openQuicInitial, refuseQuic } from '../../src/codec/quic-initial.ts';
import { sealInitial } from '../support/quic-initial.ts';
import { clientHello, serverNames } from './hello-builder.ts';
import { readPublicVectors } from './public-vectors.ts';

interface QuicVector {
  readonly kind?: string;
  readonly expect?: string;
  readonly note?: string;
  readonly sni?: string;
  readonly ja4?: string;
  readonly datagrams_hex?: readonly string[];
  readonly client_datagrams_hex?: readonly string[];
}
const hex = (text: string): Buffer => Buffer.from(text, 'hex');

/** CRYPTO frame as in RFC 9001 appendix A.2, whose ClientHello begins so; padding around it. */
const payload = Buffer.concat([hex('0001'), hex('060040f1'), Buffer.alloc(0xf1, 7), Buffer.alloc(600)]);

describe('an Initial packet of a client', () => {
  it.each(['v1', 'v2'] as const)('is opened with the keys of the examples: %s', (name) => {
    const datagram = sealInitial(name, payload);
    const opened = openQuicInitial(datagram);
    expect(opened?.destinationId.toString('hex')).toBe('8394c8f03e515708');
    expect(opened?.pieces).toEqual([{ offset: 0, bytes: Buffer.alloc(0xf1, 7) }]);
    expect(helloOfPieces(opened?.pieces ?? [])).toBeUndefined();
  });

  it.each(['v1', 'v2'] as const)('is read with those that share its datagram: %s', (name) => {
    const crypto = (offset: number, bytes: Buffer): Buffer =>
      Buffer.concat([Buffer.from([6, offset, 0x40, bytes.length]), bytes]);
    const message = clientHello({ extensions: [serverNames('coalesced.example')] });
    const third = Math.floor(message.length / 3);
    const parts = [message.subarray(2 * third), message.subarray(0, third), message.subarray(third, 2 * third)];
    const offsets = [2 * third, 0, third];
    const packets = parts.map((part, at) =>
      sealInitial(name, Buffer.concat([Buffer.from([1, 0]), crypto(offsets[at] ?? 0, part), Buffer.alloc(30)])),
    );
    const opened = openQuicInitial(Buffer.concat([...packets, Buffer.alloc(300)]));
    expect(helloOfPieces(opened?.pieces ?? [])?.serverName).toBe('coalesced.example');
    // What is no packet of it ends the reading, and takes nothing of what was read.
    const broken = Buffer.from(packets[1] ?? '');
    broken[broken.length - 1] = (broken.at(-1) ?? 0) ^ 1;
    expect(openQuicInitial(Buffer.concat([packets[0] ?? broken, broken, packets[2] ?? broken]))?.pieces).toHaveLength(
      1,
    );
    expect(openQuicInitial(Buffer.concat(Array(50).fill(packets[0])))?.pieces).toHaveLength(8);
  });

  it('that is cut or changed anywhere is none', () => {
    const datagram = sealInitial('v1', payload);
    for (let at = 0; at < datagram.length; at += 1) {
      const changed = Buffer.from(datagram);
      changed[at] = (changed[at] ?? 0) ^ 0x40;
      expect(openQuicInitial(changed)).toBeUndefined();
      expect(openQuicInitial(datagram.subarray(0, at))).toBeUndefined();
    }
  });

  it('is refused by naming no version that there is', () => {
    const opened = openQuicInitial(sealInitial('v1', payload));
    if (opened === undefined) throw new Error('not opened');
    expect(refuseQuic(opened).toString('hex')).toBe('c00000000000088394c8f03e5157081a2a3a4a');
  });
});

const captured = (readPublicVectors<QuicVector>('ja.jsonl') ?? []).filter(({ kind }) => kind === 'quic_initial');
const flows = readPublicVectors<QuicVector>('protocols.jsonl') ?? [];

describe.skipIf(captured.length === 0)('captured clients', () => {
  it('show their server name and fingerprint, over several datagrams and in any order', () => {
    const known = captured.filter(({ datagrams_hex: [first = ''] = [] }) =>
      /^..(?:00000001|6b3343cf|ff00001[d-f]|ff000020)/.test(first),
    );
    expect(known.length).toBeGreaterThan(10);
    for (const { datagrams_hex: datagrams = [], sni, ja4 } of known) {
      const firstId = openQuicInitial(hex(datagrams[0] ?? ''))?.destinationId;
      const pieces = datagrams.flatMap((datagram) => openQuicInitial(hex(datagram), firstId)?.pieces ?? []);
      for (const order of [pieces, pieces.toReversed()]) {
        const hello = helloOfPieces(order);
        if (hello === undefined) throw new Error(`no ClientHello for ${sni}`);
        expect({ sni: hello.serverName, ja4: `q${fingerprintsOf(hello).ja4.slice(1)}` }).toEqual({
          sni: sni ?? undefined,
          ja4,
        });
      }
    }
  });

  it('of other protocols over UDP are none', () => {
    const others = flows.filter((flow) => flow.client_datagrams_hex !== undefined && !/quic/.test(flow.expect ?? ''));
    const datagrams = others.flatMap((flow) => flow.client_datagrams_hex ?? []);
    expect(datagrams.length).toBeGreaterThan(5);
    expect(datagrams.filter((datagram) => openQuicInitial(hex(datagram)) !== undefined)).toEqual([]);
    const quic = flows.filter(
      ({ expect: label, note }) =>
        label === 'quic' && /version (?:00000001|6b3343cf|ff00001d|ff000020)/.test(note ?? ''),
    );
    expect(quic.length).toBeGreaterThan(5);
    for (const { client_datagrams_hex: [first = ''] = [] } of quic) expect(openQuicInitial(hex(first))).toBeDefined();
  });
});
