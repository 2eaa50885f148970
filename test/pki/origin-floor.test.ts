import { describe, expect, test } from 'vitest';
import type { ClientHello } from '../../src/core/tls.ts';
import { floorBreach, originFloorOf } from '../../src/pki/origin-floor.ts';

const hello = (changes: Partial<ClientHello>): ClientHello => ({
  legacyVersion: 0x0303,
  versions: [0x3a3a, 0x0304, 0x0303],
  cipherSuites: [0x2a2a, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0x00ff],
  extensions: [],
  serverName: 'a.example',
  alpn: [],
  groups: [0x4a4a, 0x11ec, 0x001d, 0x0017],
  pointFormats: [],
  signatureAlgorithms: [],
  hasEncryptedClientHello: false,
  ...changes,
});

describe('the floor of an origin leg', () => {
  test.each([
    ['a browser', {}, { tls13: false, hybrid: false, strong: false }],
    ['TLS 1.3 alone', { versions: [0x1a1a, 0x0304] }, { tls13: true, hybrid: false, strong: false }],
    ['an old client', { versions: [0x0303, 0x0301] }, { tls13: false, hybrid: false, strong: false }],
    ['hybrid groups alone', { groups: [0x11ec, 0x11ed, 0x2a2a] }, { tls13: true, hybrid: true, strong: false }],
    ['no groups', { groups: [] }, { tls13: false, hybrid: false, strong: false }],
    [
      '256 bits alone',
      { cipherSuites: [0x2a2a, 0x1302, 0x1303, 0xc02c, 0x00ff, 0x5600] },
      { tls13: false, hybrid: false, strong: true },
    ],
    ['signals alone', { cipherSuites: [0x00ff] }, { tls13: false, hybrid: false, strong: false }],
  ] as const)('of a client that offers %s', (_, changes, floor) => {
    expect(originFloorOf(hello(changes))).toEqual(floor);
  });
});

describe('an agreed leg', () => {
  const good = { version: 'TLSv1.3', cipher: 'TLS_AES_256_GCM_SHA384', group: 'X25519MLKEM768' };
  const all = { tls13: true, hybrid: true, strong: true };
  const none = { tls13: false, hybrid: false, strong: false };

  test('is below its floor in version, group or cipher', () => {
    expect(floorBreach(all, good)).toBeUndefined();
    expect(floorBreach(all, { ...good, version: 'TLSv1.2' })).toBe('TLSv1.2 where the client offers TLS 1.3 alone');
    expect(floorBreach(all, { ...good, group: 'X25519' })).toBe('no hybrid group where the client offers no other');
    expect(floorBreach(all, { ...good, cipher: 'TLS_AES_128_GCM_SHA256' })).toContain(
      'where the client offers 256 bits',
    );
    expect(floorBreach(none, { version: 'TLSv1.2', cipher: 'ECDHE-RSA-AES128-GCM-SHA256', group: '' })).toBeUndefined();
  });
});
