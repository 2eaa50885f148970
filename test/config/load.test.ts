import { createHash } from 'node:crypto';
import { chmodSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { LoadedConfig } from '../../src/config/load.ts';
import { loadConfig } from '../../src/config/load.ts';
import { type Credentials, createTestAuthority } from '../support/test-authority.ts';
import { complaints, Workspace } from './workspace.ts';

/** The sample of the documentation: its names are what tools rely on. */
const sample = `
listeners:
  - { mode: explicit,    listen: "127.0.0.1:8080" }
  - { mode: transparent, listen: "0.0.0.0:8443", capture: redirect }
  - { mode: reverse,     listen: "0.0.0.0:9443", origin: "10.0.0.5:443", asset: shop-gaap, proxyProtocol: accept }
authority:   { directory: certs }
originTrust: { system: true, files: [extra-roots.pem] }
assets:
  - { id: web-1, kind: cvm, addresses: [10.1.0.0/24], detect: true }
  - { id: shop-gaap, kind: gaap, hosts: ["shop.example"], detect: true }
defaults:    { detect: true }
bypass:      [ { hosts: ["*.bank.example"], reason: privacy } ]
rules:       { files: ["config/rules/*.yaml"] }
records:     { directory: var/records }
relays:      auto
`;

async function certificateFor(name: string): Promise<Credentials> {
  return (await createTestAuthority()).issue({ names: [name] });
}

function loaded(workspace: Workspace, text: string): LoadedConfig {
  const outcome = workspace.load(text);
  expect(complaints(outcome)).toEqual([]);
  if (outcome.kind === 'failed') throw new Error('unreachable');
  return outcome.config;
}

describe('loading', () => {
  test('an empty file gives an explicit proxy on loopback and all defaults', () => {
    using workspace = new Workspace();
    const config = loaded(workspace, '# nothing\n');
    expect(config).toMatchObject({
      authorityDirectory: workspace.path('certs'),
      backdatesLeafs: true,
      originTrust: { system: true, files: [] },
      warnings: [],
      files: [workspace.path('daylight.yaml'), workspace.path('certs/ca.pem')],
    });
    expect(config.relays).toBeGreaterThan(0);
    expect(config.policy).toEqual({
      version: expect.stringMatching(/^[0-9a-f]{12}$/),
      listeners: [
        {
          id: 'explicit:127.0.0.1:8080',
          mode: 'explicit',
          listen: { ip: '127.0.0.1', port: 8080 },
          proxyProtocol: 'off',
          trustedProxies: ['127.0.0.0/8', '::1/128', '10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7'],
          credentials: [],
        },
      ],
      assets: [],
      defaults: { detect: true },
      bypass: [],
      refuse: [],
      tls: {
        client: { minVersion: 'TLSv1.2', keyExchange: ['ecdhe'] },
        origin: { minVersion: 'TLSv1.2' },
        requireServerName: false,
        onOriginFailure: 'close',
      },
      originFailures: [],
      learnedBypass: {
        action: 'ask',
        rejections: 3,
        withinMs: 600_000,
        forMs: 43_200_000,
        group: 'client',
        never: [],
      },
      originExceptions: [],
      originClientCertificates: { onDemand: 'refuse', bypassMs: 3_600_000, certificates: [] },
      revocation: {
        mode: 'soft-fail',
        timeoutMs: 3_000,
        directory: workspace.path('var/revocation'),
        allowAddresses: [],
        overrides: [],
      },
      upstream: undefined,
      http: {
        h2: true,
        hostMismatch: 'refuse',
        upgrades: 'allow',
        bodies: { undecodable: 'allow', bombs: 'block', decodeBytes: 67_108_864, files: 'record' },
        hold: { startBytes: 65_536, bodyBytes: 8_388_608 },
        headers: { request: { remove: [], set: [] }, response: { remove: [], set: [] } },
        altSvc: 'strip',
      },
      mail: {
        requireTls: false,
        xclient: false,
        holdBytes: 1_048_576,
        spool: { directory: workspace.path('var/spool'), mailBytes: 67_108_864, totalBytes: 1_073_741_824 },
        headers: { remove: [], set: [] },
      },
      files: {
        requireTls: false,
        clearData: 'allow',
        requireResumption: false,
        passiveAddress: 'refuse',
        authSsl: 'refuse',
        clearCommandChannel: 'refuse',
        unread: 'allow',
        blockedUpload: 'keep',
      },
      opaque: 'allow',
      rules: [],
      scanners: [],
      records: {
        directory: workspace.path('var/records'),
        rotateBytes: 100_000_000,
        rotateSeconds: 86_400,
        keep: 0,
        bodyExcerptBytes: 512,
        onFailure: 'stop',
        alarmDurability: 'write',
      },
      export: { pcapng: undefined, pcapOverIp: undefined },
      keyLog: { client: undefined, origin: undefined },
      timeouts: {
        openingMs: 10_000,
        connectMs: 10_000,
        handshakeMs: 15_000,
        idleMs: 330_000,
        drainMs: 30_000,
        handoverMs: 3_600_000,
      },
      admin: undefined,
    });
  });

  test('the sample of the documentation is valid as it stands', async () => {
    using workspace = new Workspace();
    workspace.write('extra-roots.pem', (await createTestAuthority()).rootPem);
    const config = loaded(workspace, sample);
    expect(config.originTrust).toEqual({
      system: true,
      files: [workspace.path('extra-roots.pem')],
      fetchIntermediates: true,
    });
    expect(config.policy.listeners.map(({ id }) => id)).toEqual([
      'explicit:127.0.0.1:8080',
      'transparent:0.0.0.0:8443',
      'reverse:0.0.0.0:9443',
    ]);
    expect(config.policy.listeners[1]).toMatchObject({ capture: 'redirect', spoofClient: false });
    expect(config.policy.listeners[2]).toMatchObject({
      origin: { host: '10.0.0.5', port: 443 },
      asset: 'shop-gaap',
      proxyProtocol: 'accept',
      originTls: 'as-client',
      sendProxyProtocol: 'off',
    });
    expect(config.policy.assets).toEqual([
      { id: 'web-1', kind: 'cvm', addresses: ['10.1.0.0/24'], hosts: [], quic: 'refuse', detect: true },
      { id: 'shop-gaap', kind: 'gaap', addresses: [], hosts: ['shop.example'], quic: 'refuse', detect: true },
    ]);
    expect(config.policy.bypass).toEqual([{ hosts: ['*.bank.example'], addresses: [], assets: [], reason: 'privacy' }]);
    expect(config.warnings).toMatchObject([{ path: 'rules.files[0]', message: 'no file fits config/rules/*.yaml' }]);
    expect(config.files).toEqual(
      ['daylight.yaml', 'extra-roots.pem', 'config/rules/*.yaml', 'certs/ca.pem'].map((name) => workspace.path(name)),
    );
  });

  test('every key arrives where the policy has its place', async () => {
    using workspace = new Workspace();
    const own = await certificateFor('shop.example');
    workspace.write('shop.pem', own.cert);
    workspace.write('shop.key', own.key);
    workspace.write('ci-password', 'from a file\r\nnot this line\n');
    workspace.write('upstream-password', 'upstream secret');
    const { policy, relays } = loaded(
      workspace,
      `
listeners:
  - { mode: explicit, listen: "[::1]:8080", credentials: [{ user: a, password: b }, { user: ci, passwordFile: ci-password }] }
  - { mode: transparent, listen: "0.0.0.0:8443", capture: tproxy, spoofClient: true, proxyProtocol: require, trustedProxies: [10.0.0.9] }
  - mode: reverse
    listen: 0.0.0.0:9443
    origin: Origin.Example:443
    originTls: always
    originName: Shop.Example
    certificate: { cert: shop.pem, key: shop.key }
    sendProxyProtocol: v2
tls: { client: { minVersion: TLSv1.3, keyExchange: [ecdhe, dhe, rsa] }, origin: { minVersion: TLSv1.3 } }
onOriginFailure: warn
originFailures: [{ hosts: [Old.Example], action: bypass, reason: pinned }]
learnedBypass: { action: bypass, rejections: 5, within: 1m, for: 1h, group: asset, never: ["*.mail.example"] }
originExceptions: [{ hosts: [old.example], allow: [tls1.0, untrusted], reason: old device }]
refuse: [{ addresses: [169.254.169.254], ports: [80], reason: metadata }]
upstream: { proxy: "http://gateway@proxy.example:3128", passwordFile: upstream-password, except: ["*.internal.example"] }
http: { hostMismatch: allow, upgrades: refuse }
mail: { requireTls: true, xclient: true, holdBytes: 10MiB }
opaque: refuse
records: { directory: /var/log/daylight, rotateBytes: 1GiB, rotateEvery: 1h, keep: 48, bodyExcerptBytes: 0, onFailure: stop, alarmDurability: sync }
export: { pcapng: { directory: packets, rotateBytes: 1MB, keep: 3 }, pcapOverIp: "[::1]:57012" }
keyLog: { origin: keys.log }
timeouts: { opening: 1s, connect: 2s, handshake: 3s, idle: 4m, drain: 500ms }
admin: { listen: "127.0.0.1:8081" }
relays: 3
`,
    );
    const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
    expect(relays).toBe(3);
    expect(policy.export).toEqual({
      pcapng: { directory: workspace.path('packets'), rotateBytes: 1_000_000, rotateSeconds: 3_600, keep: 3 },
      pcapOverIp: { ip: '::1', port: 57_012 },
    });
    expect(policy.keyLog).toEqual({ client: undefined, origin: workspace.path('keys.log') });
    expect(policy.listeners).toMatchObject([
      {
        id: 'explicit:[::1]:8080',
        listen: { ip: '::1', port: 8080 },
        credentials: [
          { user: 'a', passwordSha256: sha256('b') },
          { user: 'ci', passwordSha256: sha256('from a file') },
        ],
      },
      { capture: 'tproxy', spoofClient: true, proxyProtocol: 'require', trustedProxies: ['10.0.0.9/32'] },
      {
        origin: { host: 'origin.example', port: 443 },
        originTls: 'always',
        originName: 'shop.example',
        certificate: { certFile: workspace.path('shop.pem'), keyFile: workspace.path('shop.key') },
        sendProxyProtocol: 'v2',
      },
    ]);
    expect(policy).toMatchObject({
      tls: {
        client: { minVersion: 'TLSv1.3', keyExchange: ['ecdhe', 'dhe', 'rsa'] },
        origin: { minVersion: 'TLSv1.3' },
        requireServerName: false,
        onOriginFailure: 'warn',
      },
      originFailures: [{ hosts: ['old.example'], action: 'bypass', reason: 'pinned' }],
      learnedBypass: {
        action: 'bypass',
        rejections: 5,
        withinMs: 60_000,
        forMs: 3_600_000,
        group: 'asset',
        never: ['*.mail.example'],
      },
      originExceptions: [{ hosts: ['old.example'], allow: ['tls1.0', 'untrusted'], reason: 'old device' }],
      refuse: [{ hosts: [], addresses: ['169.254.169.254/32'], ports: [80], reason: 'metadata' }],
      upstream: {
        proxy: { host: 'proxy.example', port: 3128 },
        credentials: { user: 'gateway', password: 'upstream secret' },
        except: ['*.internal.example'],
      },
      http: { hostMismatch: 'allow', upgrades: 'refuse' },
      mail: { requireTls: true, xclient: true, holdBytes: 10_485_760 },
      opaque: 'refuse',
      records: {
        directory: '/var/log/daylight',
        rotateBytes: 1_073_741_824,
        rotateSeconds: 3600,
        keep: 48,
        bodyExcerptBytes: 0,
        onFailure: 'stop',
        alarmDurability: 'sync',
      },
      timeouts: {
        openingMs: 1000,
        connectMs: 2000,
        handshakeMs: 3000,
        idleMs: 240_000,
        drainMs: 500,
        handoverMs: 3_600_000,
      },
      admin: { listen: { ip: '127.0.0.1', port: 8081 } },
    });
    expect(JSON.stringify(policy)).not.toContain('from a file');
  });

  test('the configuration that comes with Daylight is valid and needs no warning', () => {
    const outcome = loadConfig('config/daylight.yaml', join(import.meta.dirname, '../..'));
    expect(complaints(outcome)).toEqual([]);
    expect(outcome.kind === 'loaded' && outcome.config.warnings).toEqual([]);
  });

  test('an address that others reach without credentials is warned of', () => {
    using workspace = new Workspace();
    const { warnings } = loaded(workspace, 'listeners:\n  - { mode: explicit, listen: "0.0.0.0:8080" }\n');
    expect(warnings).toMatchObject([{ line: 2, column: 31, path: 'listeners[0].listen' }]);
  });

  test('an endpoint that is published to itself, and addresses that only the proxy can refuse, are warned of', () => {
    using workspace = new Workspace();
    const { warnings } = loaded(
      workspace,
      [
        'listeners:',
        '  - { mode: reverse, listen: "127.0.0.1:9443", origin: "127.0.0.1:9443" }',
        '  - { mode: reverse, listen: "0.0.0.0:9444", origin: "localhost:9444" }',
        '  - { mode: reverse, listen: "0.0.0.0:443", origin: "10.0.0.5:443" }',
        'upstream: { proxy: "http://proxy.example:3128" }',
        'refuse: [{ addresses: [169.254.169.254], reason: metadata }, { hosts: [a.example], reason: r }]',
        '',
      ].join('\n'),
    );
    expect(warnings.map(({ path }) => path)).toEqual([
      'listeners[0].origin',
      'listeners[1].origin',
      'refuse[0].addresses',
    ]);
    expect(warnings[0]?.message).toContain('POLICY_LOOP');
  });

  test('aliases stand for what they name', () => {
    using workspace = new Workspace();
    const { policy } = loaded(
      workspace,
      'bypass: [{ hosts: &banks [a.example, b.example], reason: r }]\nrefuse: [{ hosts: *banks, reason: r }]\n',
    );
    expect(policy.refuse[0]?.hosts).toEqual(['a.example', 'b.example']);
  });
});

describe('the version of a policy', () => {
  const versionOf = (workspace: Workspace, text: string): string => loaded(workspace, text).policy.version;

  test('is the same for the same meaning, however it is written', () => {
    using workspace = new Workspace();
    const version = versionOf(workspace, 'relays: 1\n');
    expect(versionOf(workspace, '# a comment\nopaque: allow\nrelays:    1\n')).toBe(version);
  });

  test('changes with any key, with the content of a rule file and of a file of roots', async () => {
    using workspace = new Workspace();
    const versions = new Set<string>();
    versions.add(versionOf(workspace, 'relays: 1\n'));
    versions.add(versionOf(workspace, 'relays: 1\nopaque: refuse\n'));
    versions.add(versionOf(workspace, 'relays: 2\n'));
    workspace.write('roots.pem', (await createTestAuthority()).rootPem);
    versions.add(versionOf(workspace, 'relays: 1\noriginTrust: { files: [roots.pem] }\n'));
    workspace.write('roots.pem', (await createTestAuthority()).rootPem);
    versions.add(versionOf(workspace, 'relays: 1\noriginTrust: { files: [roots.pem] }\n'));
    expect(versions.size).toBe(5);
  });

  test('tells nothing of passwords, but the content digest does', () => {
    using workspace = new Workspace();
    const withPassword = (password: string): LoadedConfig =>
      loaded(
        workspace,
        `listeners: [{ mode: explicit, listen: "127.0.0.1:1", credentials: [{ user: u, password: ${password} }] }]\nupstream: { proxy: "http://u:${password}@p.example:1" }`,
      );
    const [one, two] = [withPassword('one'), withPassword('two')];
    expect(one.policy.version).toBe(two.policy.version);
    expect(one.contentDigest).not.toBe(two.contentDigest);
  });
});

describe('files of certificates', () => {
  test('must hold certificates', () => {
    using workspace = new Workspace();
    workspace.write('empty.pem', '');
    workspace.write('cut.pem', '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n');
    const text = 'originTrust: { files: [empty.pem, cut.pem] }\n';
    expect(complaints(workspace.load(text))).toEqual([
      '1:24 originTrust.files[0]: empty.pem holds no certificate in PEM, or a broken one',
      '1:35 originTrust.files[1]: cut.pem holds no certificate in PEM, or a broken one',
    ]);
  });

  test('must hold a key that fits the certificate', async () => {
    using workspace = new Workspace();
    const [one, two] = [await certificateFor('one.example'), await certificateFor('two.example')];
    workspace.write('one.pem', one.cert);
    workspace.write('two.key', two.key);
    workspace.write('no.key', 'hunter2');
    const listener = (cert: string, key: string): string =>
      `listeners:\n  - { mode: reverse, listen: "0.0.0.0:1", origin: "a.example:1", certificate: { cert: ${cert}, key: ${key} } }\n`;
    expect(complaints(workspace.load(listener('one.pem', 'two.key')))).toEqual([
      '2:101 listeners[0].certificate.key: two.key is not the key of the certificate',
    ]);
    expect(complaints(workspace.load(listener('one.pem', 'no.key')))).toEqual([
      '2:101 listeners[0].certificate.key: no.key holds no private key in PEM that can be read without a passphrase',
    ]);
    expect(complaints(workspace.load(listener('two.key', 'two.key')))).toEqual([
      '2:87 listeners[0].certificate.cert: two.key holds no certificate in PEM, or a broken one',
    ]);
  });

  test('of listeners with keys that others may read are told of, also behind a link, and serve', async () => {
    using workspace = new Workspace();
    const own = await certificateFor('one.example');
    workspace.write('one.pem', own.cert);
    workspace.write('mounted.key', own.key);
    const key = workspace.path('mounted.key');
    symlinkSync(key, workspace.path('linked.key'));
    const listener =
      'listeners:\n  - { mode: reverse, listen: "0.0.0.0:1", origin: "a.example:1", certificate: { cert: one.pem, key: linked.key } }\n';
    const warnings = (): readonly string[] => {
      const loaded = workspace.load(listener);
      return loaded.kind === 'failed' ? ['failed'] : loaded.config.warnings.map(({ message }) => message);
    };
    chmodSync(key, 0o644);
    expect(warnings()).toContain(
      'linked.key has mode 0644, wider than 0600: other users of this machine may read the key',
    );
    chmodSync(key, 0o600);
    expect(warnings().filter((message) => message.includes('linked.key'))).toEqual([]);
  });

  test('for origins must have keys that are kept as secrets', async () => {
    using workspace = new Workspace();
    const { cert, key } = await certificateFor('gateway');
    workspace.write('ours.pem', cert);
    workspace.write('ours.key', key);
    const text =
      'originClientCertificates: { certificates: [{ hosts: [a.example], cert: ours.pem, key: ours.key }] }\n';
    chmodSync(workspace.path('ours.key'), 0o644);
    expect(complaints(workspace.load(text))).toEqual([
      '1:87 originClientCertificates.certificates[0].key: ours.key has mode 0644, wider than 0600',
    ]);
    chmodSync(workspace.path('ours.key'), 0o600);
    expect(loaded(workspace, text).policy.originClientCertificates.certificates).toEqual([
      { hosts: ['a.example'], assets: [], certFile: workspace.path('ours.pem'), keyFile: workspace.path('ours.key') },
    ]);
  });
});
