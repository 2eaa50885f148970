import { describe, expect, test } from 'vitest';
import { complaints, Workspace } from './workspace.ts';

/** A broken text and everything that is to be said of it. */
const broken: readonly (readonly [name: string, text: string, complaints: readonly string[]])[] = [
  ['a key with a typing error', 'listners: []\n', ['1:1 listners: unknown key; did you mean "listeners"?']],
  [
    'a key that is like none',
    'colour: red\n',
    [
      '1:1 colour: unknown key; known here: listeners, authority, originTrust, assets, defaults, bypass, bypassFiles, refuse, rules, records, export, keyLog, tls, onOriginFailure, originFailures, learnedBypass, originExceptions, originClientCertificates, revocation, upstream, http, scanners, mail, files, opaque, timeouts, admin, relays',
    ],
  ],
  [
    'keys that are wrong at several depths',
    'records:\n  direktory: x\n  keep: -1\ntls: { client: { minVersion: TLSv1.1 } }\n',
    [
      '2:3 records.direktory: unknown key; did you mean "directory"?',
      '3:9 records.keep: must be a whole number from 0 to 100000',
      '4:30 tls.client.minVersion: must be one of TLSv1.2, TLSv1.3; did you mean "TLSv1.2"?',
    ],
  ],
  ['no listener', 'listeners: []\n', ['1:12 listeners: may not be empty']],
  [
    'a listener without mode',
    'listeners:\n  - { listen: "127.0.0.1:8080" }\n',
    ['2:5 listeners[0]: needs "mode": one of explicit, transparent, reverse'],
  ],
  [
    'a mode with a typing error',
    'listeners:\n  - { mode: transparant, listen: "127.0.0.1:8080" }\n',
    ['2:13 listeners[0].mode: must be one of explicit, transparent, reverse; did you mean "transparent"?'],
  ],
  [
    'a listener without address',
    'listeners:\n  - mode: explicit\n',
    ['2:5 listeners[0].listen: is required: an IP address and a port such as "127.0.0.1:8080" or "[::1]:8080"'],
  ],
  [
    'a key of another mode',
    'listeners:\n  - { mode: explicit, listen: "127.0.0.1:8080", origin: "a.example:443" }\n',
    ['2:49 listeners[0].origin: goes only with mode: reverse'],
  ],
  [
    'an address that is a number, and one that is a name',
    'listeners:\n  - { mode: explicit, listen: 8080 }\n  - { mode: explicit, listen: "localhost:8080" }\n',
    [
      '2:31 listeners[0].listen: must be an IP address and a port such as "127.0.0.1:8080" or "[::1]:8080", not a number',
      '3:31 listeners[1].listen: must be an IP address and a port such as "127.0.0.1:8080" or "[::1]:8080": "localhost" is no IP address',
    ],
  ],
  [
    'a stream of plaintext that others could read',
    'export: { pcapOverIp: "0.0.0.0:57012" }\n',
    ['1:23 export.pcapOverIp: gives decrypted traffic to whoever connects: use a loopback address'],
  ],
  [
    'two listeners that take the same connections',
    'listeners:\n  - { mode: explicit, listen: "[::]:8080" }\n  - { mode: explicit, listen: "127.0.0.1:8080" }\n  - { mode: explicit, listen: "127.0.0.1:8081" }\nadmin: { listen: "127.0.0.1:8081" }\n',
    [
      '3:31 listeners[1].listen: takes the same connections as [::]:8080 above',
      '5:18 admin.listen: takes the same connections as 127.0.0.1:8081 above',
    ],
  ],
  [
    'spoofing without TPROXY',
    'listeners:\n  - { mode: transparent, listen: "0.0.0.0:8443", spoofClient: true }\n',
    ['2:63 listeners[0].spoofClient: works only with capture: tproxy'],
  ],
  [
    'PROXY protocol from nobody',
    'listeners:\n  - { mode: explicit, listen: "127.0.0.1:8080", proxyProtocol: require, trustedProxies: [] }\n',
    ['2:89 listeners[0].trustedProxies: trusts nobody, so that no PROXY protocol header is believed'],
  ],
  [
    'a reverse listener for an asset that is not there',
    'listeners:\n  - { mode: reverse, listen: "0.0.0.0:9443", origin: "10.0.0.5:443", asset: shop-gap }\nassets:\n  - { id: shop-gaap, kind: gaap, hosts: [shop.example] }\n',
    ['2:77 listeners[0].asset: no asset has the id "shop-gap"; did you mean "shop-gaap"?'],
  ],
  [
    'assets with one id, and one that fits nothing',
    'assets:\n  - { id: a, kind: cvm, addresses: [10.0.0.1] }\n  - { id: a, kind: cvm, addresses: [10.0.0.2] }\n  - { id: b, kind: gaap }\n',
    [
      '3:11 assets[1].id: asset "a" stands here twice',
      '4:5 assets[2]: fits no flow: give addresses or hosts, or name it in a reverse listener',
    ],
  ],
  [
    'an asset of an unknown kind with a broken block',
    'assets:\n  - { id: a, kind: vm, addresses: [10.0.0.1/24, 10.0.0.0/40] }\n',
    [
      '2:20 assets[0].kind: must be one of cvm, container, gaap; did you mean "cvm"?',
      '2:36 assets[0].addresses[0]: has bits set beyond /24: write "10.0.0.0/24"',
      '2:49 assets[0].addresses[1]: must be an address block such as "10.1.0.0/24", "2001:db8::/32" or "10.1.0.5"',
    ],
  ],
  [
    'a pattern without quotes',
    'bypass:\n  - hosts: [*.bank.example]\n    reason: privacy\n',
    ['2:13 bypass[0].hosts[0]: a text that starts with "*" must be quoted: "*.example"'],
  ],
  [
    'patterns with a star inside',
    'bypass: [{ hosts: ["*bank.example", "www.*.example"], reason: privacy }]\n',
    [
      '1:20 bypass[0].hosts[0]: "*" may only stand alone or as the whole first label: "*.example"',
      '1:37 bypass[0].hosts[1]: "*" may only stand alone or as the whole first label: "*.example"',
    ],
  ],
  [
    'entries that say nothing',
    'bypass: [{ reason: privacy }]\nrefuse: [{ reason: policy }]\n',
    [
      '1:10 bypass[0]: exempts nothing: give hosts, addresses or assets',
      '2:10 refuse[0]: refuses nothing: give hosts, addresses or ports',
    ],
  ],
  [
    'an exemption without reason',
    'bypass: [{ hosts: [a.example] }]\n',
    ['1:10 bypass[0].reason: is required: a short reason'],
  ],
  [
    'an exemption of an asset that is not there',
    'bypass: [{ assets: [web-1], reason: privacy }]\n',
    ['1:21 bypass[0].assets[0]: no asset has the id "web-1"'],
  ],
  [
    'a list that is none, and a switch that is a word',
    'rules: { files: "config/rules/*.yaml" }\ndefaults: { detect: yes }\n',
    [
      '1:17 rules.files: must be a list, not text: put it in [ ]',
      '2:21 defaults.detect: must be true or false, not text',
    ],
  ],
  [
    'keys without value',
    'rules:\nbypass:\n# - hosts: [a.example]\nassets: [~]\n',
    [
      '1:1 rules: has no value: give one, or remove the key',
      '2:1 bypass: has no value: give one, or remove the key',
      '4:10 assets[0]: has no value',
    ],
  ],
  ['a file that is a list', '- listeners\n', ['1:1 must be keys and values, not a list']],
  ['a file that is a word', 'listeners\n', ['1:1 must be keys and values, not text']],
  ['the same key twice', 'relays: 1\nopaque: refuse\nrelays: 2\n', ['3:1 this key stands here twice']],
  ['a tab', 'records:\n\tdirectory: x\n', ['2:1 a tab may not indent: use spaces']],
  [
    'a list that does not end',
    'assets: [ { id: a }\nrelays: 1\n',
    ['2:1 Flow sequence in block collection must be sufficiently indented and end with a ]'],
  ],
  ['a tag', 'relays: !!js/function 1\n', ['1:9 Unresolved tag: tag:yaml.org,2002:js/function']],
  [
    'quantities without unit, or out of range',
    'records: { rotateBytes: 100Mb, rotateEvery: 3600 }\ntimeouts: { idle: 30d }\nrelays: 100\n',
    [
      '1:25 records.rotateBytes: must be a size such as 1048576, "64KiB", "100MB" or "1GB"',
      '1:45 records.rotateEvery: must be a duration such as "500ms", "30s", "5m", "1h" or "1d", not a number',
      '2:19 timeouts.idle: must be between 100ms and 7d',
      '3:9 relays: must be "auto" or a number between 1 and 64',
    ],
  ],
  [
    'no root to trust',
    'originTrust: { system: false }\n',
    ['1:14 originTrust: trusts nothing, so that every origin fails: set system: true, or name files'],
  ],
  [
    'files that are not there',
    'originTrust: { files: [roots.pem] }\nrules: { files: [rules.yaml] }\n',
    ['1:24 originTrust.files[0]: roots.pem does not exist', '2:18 rules.files[0]: rules.yaml does not exist'],
  ],
  [
    'users without password, with two, and twice',
    'listeners:\n  - mode: explicit\n    listen: 127.0.0.1:8080\n    credentials:\n      - { user: a }\n      - { user: b, password: x, passwordFile: y }\n      - { user: a, password: 12345 }\n',
    [
      '5:9 listeners[0].credentials[0]: give either password or passwordFile',
      '6:9 listeners[0].credentials[1]: give either password or passwordFile',
      '7:17 listeners[0].credentials[2].user: this user stands here twice',
      '7:30 listeners[0].credentials[2].password: must be a password of at most 255 bytes: put it in quotes',
    ],
  ],
  [
    'an upstream proxy with two passwords, and one with a password but no user',
    'upstream: { proxy: "http://u:p@proxy.example:3128", passwordFile: p }\n',
    ['1:67 upstream.passwordFile: the URL holds a password already'],
  ],
  [
    'an upstream proxy with a password but no user',
    'upstream: { proxy: "http://:p@proxy.example:3128" }\n',
    ['1:20 upstream.proxy: has a password but no user: write http://user@host:port'],
  ],
  [
    'an upstream proxy over TLS',
    'upstream: { proxy: "https://u:hunter2@proxy.example:3128" }\n',
    ['1:20 upstream.proxy: must start with http://: the gateway speaks plain HTTP to its proxy'],
  ],
];

describe('a broken file', () => {
  test.each(broken)('with %s is refused with every error and its place', (_, text, expected) => {
    using workspace = new Workspace();
    workspace.write('p', 'secret\n');
    expect(complaints(workspace.load(text))).toEqual(expected);
  });

  test('that is missing, a directory or no text is refused', () => {
    using workspace = new Workspace();
    expect(complaints(workspace.load(Buffer.from([0x72, 0xff, 0xfe])))).toEqual(['1:1 is not UTF-8 text']);
    workspace.write('sub/x', '');
    expect(complaints(workspace.loadFile('sub'))).toEqual(['sub:1:1 is a directory']);
    expect(complaints(workspace.loadFile('missing.yaml'))).toEqual(['missing.yaml:1:1 does not exist']);
    expect(complaints(workspace.loadFile('sub/x/y.yaml'))).toEqual([
      'sub/x/y.yaml:1:1 does not exist: a part of the path is a file',
    ]);
  });

  test('never repeats a secret', () => {
    using workspace = new Workspace();
    workspace.write('long', `${'hunter2'.repeat(40)}\n`);
    const texts = [
      'upstream: { proxy: "hunter2://u:hunter2@x" }',
      'upstream: { proxy: ["http://u:hunter2@x:1"] }',
      'upstream: { proxy: "http://u:hunter2@x:99999" }',
      'upstream: { proxy: "http://u:hunter2@-x-:1/" }',
      'upstream: { proxy: "http://u@x:1", passwordFile: long }',
      'listeners: [{ mode: explicit, listen: "127.0.0.1:1", credentials: "u:hunter2" }]',
      'listeners: [{ mode: explicit, listen: "127.0.0.1:1", credentials: [hunter2] }]',
      'listeners: [{ mode: explicit, listen: "127.0.0.1:1", credentials: [{ user: u, password: [hunter2] }] }]',
    ];
    for (const text of texts) {
      const said = complaints(workspace.load(text));
      expect(said).not.toEqual([]);
      expect(said.join('\n')).not.toContain('hunter2');
    }
  });

  test('with very many aliases ends at once, and so does one with very many brackets', () => {
    using workspace = new Workspace();
    const aliases = `bypass:\n  - &x { hosts: [a.example], reason: r }\n${'  - *x\n'.repeat(200_000)}`;
    expect(complaints(workspace.load(aliases))).toEqual([
      '1003:5 more than 1000 aliases: write out what they stand for',
    ]);
    const said = complaints(workspace.load('['.repeat(50_000)));
    expect(said.length).toBeLessThan(10);
    expect(said.join()).toContain('nested too deep');
  });

  test('with two documents says so', () => {
    using workspace = new Workspace();
    expect(complaints(workspace.load('relays: 1\n---\nrelays: 2\n'))).toEqual([
      '2:1 a second document begins here: a file holds one',
    ]);
  });

  test('with aliases that multiply ends at once', () => {
    using workspace = new Workspace();
    const levels = Array.from(
      { length: 20 },
      (_, level) => `l${level + 1}: &l${level + 1} [${Array(9).fill(`*l${level}`)}]`,
    );
    const said = complaints(workspace.load(`l0: &l0 [a, b]\n${levels.join('\n')}\nbypass: [*l20]\n`));
    expect(said).toContain('21:11 bypass[0]: must be keys and values, not a list');
  });
});
