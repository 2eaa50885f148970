import { hash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseClientHello } from '../../src/codec/client-hello.ts';
import { fingerprintsOf } from '../../src/codec/fingerprint.ts';
import type { ClientHello } from '../../src/core/tls.ts';
import { inRecords } from './hello-builder.ts';
import { readPublicVectors } from './public-vectors.ts';

const plain: ClientHello = {
  legacyVersion: 0x0303,
  versions: [0x0303],
  cipherSuites: [],
  extensions: [],
  serverName: undefined,
  alpn: [],
  groups: [],
  pointFormats: [],
  signatureAlgorithms: [],
  hasEncryptedClientHello: false,
};
const sha256 = (text: string): string => hash('sha256', text).slice(0, 12);

interface HelloVector {
  readonly kind: string;
  readonly pcap: string;
  readonly stream: number;
  readonly handshake_hex?: string;
  readonly sni?: string | null;
  readonly ja3?: string;
  readonly ja3_str?: string;
  readonly ja4?: string;
  readonly cases?: readonly (readonly [alpnHex: string, mark: string])[];
}
const vectors = readPublicVectors<HelloVector>('ja.jsonl');

describe.skipIf(vectors === undefined)('fingerprints of captured clients', () => {
  const hellos = (vectors ?? []).filter(({ kind }) => kind === 'client_hello' || kind === 'quic_initial');

  // The values of the vectors are those that tshark, FoxIO's tools, Arkime and nDPI agree on, and where they do not
  // (one ALPN that is not ASCII, old nDPI), those of FoxIO's present text. All agree, so no deviation is allowed.
  it('are the values that other tools give, all of them', () => {
    expect(hellos.length).toBeGreaterThan(70);
    for (const vector of hellos) {
      const parse = parseClientHello(inRecords(Buffer.from(vector.handshake_hex ?? '', 'hex')));
      if (parse.kind !== 'complete') throw new Error(`${vector.pcap} ${vector.stream}: ${JSON.stringify(parse)}`);
      const fingerprints = fingerprintsOf(parse.hello);
      // A hello carried by QUIC differs in the first letter alone.
      const ja4 = vector.kind === 'quic_initial' ? `q${fingerprints.ja4.slice(1)}` : fingerprints.ja4;
      expect({ ...fingerprints, ja4, sni: parse.hello.serverName }).toEqual({
        ja3: vector.ja3_str ?? fingerprints.ja3,
        ja3Hash: vector.ja3,
        ja4: vector.ja4,
        sni: vector.sni ?? undefined,
      });
    }
  });

  it('mark the first ALPN name as the table of the specification does', () => {
    const cases = (vectors ?? []).flatMap(({ cases: rows = [] }) => rows);
    expect(cases.length).toBe(10);
    for (const [alpnHex, mark] of cases) {
      const alpn = alpnHex === '' ? [] : [Buffer.from(alpnHex, 'hex').toString('latin1')];
      expect(fingerprintsOf({ ...plain, alpn }).ja4.slice(8, 10)).toBe(mark);
    }
  });
});

describe('JA3', () => {
  it('is the README example of its authors', () => {
    const { ja3, ja3Hash } = fingerprintsOf({
      ...plain,
      legacyVersion: 769,
      cipherSuites: [47, 53, 5, 10, 49161, 49162, 49171, 49172, 50, 56, 19, 4],
      extensions: [0, 10, 11],
      groups: [23, 24, 25],
      pointFormats: [0],
    });
    expect(ja3).toBe('769,47-53-5-10-49161-49162-49171-49172-50-56-19-4,0-10-11,23-24-25,0');
    expect(ja3Hash).toBe('ada70206e40642a3e4461f35503241d5');
  });

  it('keeps empty fields and leaves GREASE out, of suites, extensions and groups', () => {
    expect(fingerprintsOf({ ...plain, cipherSuites: [4] }).ja3).toBe('771,4,,,');
    const greased = { ...plain, cipherSuites: [0x0a0a, 4], extensions: [0xfafa, 11], groups: [0x3a3a, 29] };
    expect(fingerprintsOf(greased).ja3).toBe('771,4,11,29,');
    // Not GREASE: the two bytes differ.
    expect(fingerprintsOf({ ...plain, cipherSuites: [0x0a1a] }).ja3).toBe('771,2586,,,');
  });
});

describe('JA4', () => {
  it('is the README example of its authors, a Chrome', () => {
    const { ja3Hash, ja4 } = fingerprintsOf({
      ...plain,
      versions: [0x3a3a, 0x0304, 0x0303],
      cipherSuites: [
        0x0a0a, 4865, 4866, 4867, 49195, 49199, 49196, 49200, 52393, 52392, 49171, 49172, 156, 157, 47, 53,
      ],
      extensions: [0x1a1a, 0, 23, 65281, 10, 11, 35, 16, 5, 13, 18, 51, 45, 43, 27, 17513, 21],
      alpn: ['h2', 'http/1.1'],
      groups: [0x2a2a, 29, 23, 24],
      pointFormats: [0],
      signatureAlgorithms: [0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601],
    });
    expect(ja4).toBe('t13d1516h2_8daaf6152771_e5627efa2ab1');
    expect(ja3Hash).toBe('cd08e31494f9531f560d64c695473da9');
  });

  const ja4 = (parts: Partial<ClientHello>): string => fingerprintsOf({ ...plain, ...parts }).ja4;

  it('of a hello with nothing in it is all zeros', () => {
    expect(ja4({})).toBe('t12i000000_000000000000_000000000000');
  });

  it.each([
    [[0x2a2a, 0x0304, 0x0303], '13'],
    [[0x0301, 0x0302], '11'],
    [[0x0300], 's3'],
    [[0x7f12, 0x0303], '00'],
    [[0x1a1a], '12'],
  ])('names the highest version of %j that is not GREASE %s', (versions, name) => {
    expect(ja4({ versions }).slice(1, 3)).toBe(name);
  });

  it('counts server name and ALPN, and no more than 99', () => {
    expect(ja4({ extensions: [0, 16, 0x0a0a] })).toBe('t12d000200_000000000000_000000000000');
    const cipherSuites = Array.from({ length: 120 }, (_, index) => index + 0x100);
    expect(ja4({ cipherSuites }).slice(4, 6)).toBe('99');
  });

  it('hashes suites and extensions sorted, signature algorithms in wire order', () => {
    expect(ja4({ cipherSuites: [0xc02f, 0x0a0a, 0x002f, 0x1301] })).toContain(`_${sha256('002f,1301,c02f')}_`);
    const extensions = [0xff01, 0, 13, 16, 10];
    expect(ja4({ extensions }).slice(24)).toBe(sha256('000a,000d,ff01'));
    const signed = ja4({ extensions, signatureAlgorithms: [0x0804, 0x0403] });
    expect(signed.slice(24)).toBe(sha256('000a,000d,ff01_0804,0403'));
  });

  it.each([
    ['http/1.1', 'h1'],
    ['h2', 'h2'],
    ['h', 'hh'],
    ['', '00'],
    ['\xab', 'ab'],
    ['\xab\xcd', 'ad'],
    ['h\xff', '6f'],
    ['-x', '28'],
  ])('marks the ALPN name %j as %s', (name, mark) => {
    expect(ja4({ alpn: [name] }).slice(8, 10)).toBe(mark);
  });

  it('does not change when a client shuffles its extensions and suites or changes its GREASE', () => {
    const value = fc.integer({ min: 0, max: 0xffff });
    const lists = fc.tuple(fc.uniqueArray(value, { maxLength: 30 }), fc.uniqueArray(value, { maxLength: 30 }));
    const shuffledPair = lists.chain(([suites, extensions]) =>
      fc.tuple(
        fc.constant({ cipherSuites: suites, extensions }),
        fc.record({
          cipherSuites: fc.shuffledSubarray(suites, { minLength: suites.length }),
          extensions: fc.shuffledSubarray(extensions, { minLength: extensions.length }),
        }),
        fc.constantFrom(0x0a0a, 0x5a5a, 0xfafa),
      ),
    );
    fc.assert(
      fc.property(shuffledPair, ([given, shuffled, grease]) => {
        const greased = { ...shuffled, cipherSuites: [grease, ...shuffled.cipherSuites] };
        expect(ja4(greased)).toBe(ja4(given));
        expect(ja4(given)).toMatch(/^t12[di][0-9]{4}00_[0-9a-f]{12}_[0-9a-f]{12}$/);
      }),
    );
  });
});
