import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort, type RunningGateway, startGateway } from '../support/gateway.ts';
import { startOrigin, type TestOrigin } from '../support/https-origin.ts';
import { type MailOrigin, startMailOrigin } from '../support/mail-origin.ts';
import { hasProgram, run } from '../support/run.ts';
import { createTestAuthority } from '../support/test-authority.ts';
import { type RunningVsftpd, startVsftpd } from '../support/vsftpd.ts';

let origin: TestOrigin;
let mail: MailOrigin;
let files: RunningVsftpd | undefined;
let gateway: RunningGateway;
const ports = { https: 0, smtp: 0, ftp: 0 };

beforeAll(async () => {
  const authority = await createTestAuthority();
  const credentials = await authority.issue({ names: ['localhost'] });
  origin = await startOrigin(credentials);
  mail = await startMailOrigin(credentials);
  files = hasProgram('vsftpd') ? await startVsftpd(credentials) : undefined;
  for (const leg of ['https', 'smtp', 'ftp'] as const) ports[leg] = await freePort();
  const reverse = (leg: keyof typeof ports, port: number) => ({
    mode: 'reverse',
    listen: `127.0.0.1:${ports[leg]}`,
    origin: `localhost:${port}`,
  });
  gateway = await startGateway({
    files: { 'roots.pem': authority.rootPem },
    config: {
      listeners: [
        reverse('https', origin.port),
        reverse('smtp', mail.port),
        ...(files === undefined ? [] : [reverse('ftp', files.port)]),
      ],
      originTrust: { system: false, files: ['$DIRECTORY/roots.pem'] },
    },
  });
});
afterAll(async () => {
  await gateway?.[Symbol.asyncDispose]();
  await files?.[Symbol.asyncDispose]();
  await mail?.[Symbol.asyncDispose]();
  await origin?.[Symbol.asyncDispose]();
});

interface Finding {
  readonly id: string;
  readonly severity: string;
  readonly finding: string;
}

/** What testssl.sh finds fault with and why it is as it should be: the finding must be this one, and no other of its kind. */
const accepted: readonly (readonly [id: RegExp, finding: RegExp, why: string])[] = [
  [
    /^engine_problem$/,
    /^No engine or GOST support/,
    'about the OpenSSL that testssl.sh runs with, not about the gateway',
  ],
  [
    /^cert_expirationStatus /,
    /^expires < 30 days \([01]\)$/,
    'leafs live less than a day, so that none need be revoked',
  ],
  [/^cert_notAfter /, /^20\d\d-\d\d-\d\d \d\d:\d\d$/, 'the same: the end of a leaf'],
  [
    /^cert_revocation /,
    /^Neither CRL nor OCSP URI provided$/,
    'the same: a leaf has ended before a CRL would tell of it',
  ],
  [
    /^sessionresumption_ticket$/,
    /^check failed because of connect problem$/,
    'its s_client may leave before the ticket of TLS 1.3 is there, and then has no session to come back with',
  ],
  [/^DNS_CAArecord /, /^--$/, 'about the DNS of the name, here localhost; a private CA is bound by no CAA record'],
];

/** Checks that a scan of each kind tells about, so that one that was left out is no success. */
const told = {
  '-p': ['SSLv2', 'SSLv3', 'TLS1', 'TLS1_1', 'TLS1_2', 'TLS1_3'],
  '-s': ['cipherlist_NULL', 'cipherlist_aNULL', 'cipherlist_EXPORT', 'cipherlist_LOW', 'cipherlist_STRONG'],
  '-f': ['PFS', 'PFS_ECDHE_curves'],
  '-P': ['cipher_order', 'protocol_negotiated', 'cipher_negotiated'],
  '-S': [1, 2].flatMap((number) =>
    ['cert_chain_of_trust', 'cert_trust', 'cert_signatureAlgorithm'].map((id) => `${id} <cert#${number}>`),
  ),
  '-U': [
    ...['heartbleed', 'CCS', 'ROBOT', 'secure_renego', 'secure_client_renego', 'CRIME_TLS', 'POODLE_SSL'],
    ...['fallback_SCSV', 'SWEET32', 'FREAK', 'DROWN', 'LOGJAM', 'BEAST', 'LUCKY13', 'RC4'],
  ],
  '-H': ['heartbleed'],
  '-I': ['CCS'],
  '-R': ['secure_renego', 'secure_client_renego'],
  '--fast': [],
} as const;
type Check = keyof typeof told;

/**
 * Behind STARTTLS the same TLS answers: the dear checks are made there with DAYLIGHT_ALL_SCANS=1 alone, and all behind AUTH
 * TLS. A scan takes half a minute of a processor before its first check.
 */
const whole = process.env.DAYLIGHT_ALL_SCANS === '1';
const everything: readonly (readonly Check[])[] = [
  ['-p', '-s', '-f', '-U'],
  // Without the order of all ciphers, which says nothing of good or bad and takes long.
  ['--fast', '-P', '-S'],
];
const quick: readonly Check[] = ['-p', '-H', '-I', '-R'];
const legs: readonly (readonly [leg: keyof typeof ports, sets: readonly (readonly Check[])[]])[] = [
  ['https', everything],
  ['smtp', whole ? everything : [quick]],
  ['ftp', whole ? everything : []],
];
const scans = legs.flatMap(([leg, sets]) => sets.map((checks) => [checks.join(' '), leg, checks] as const));

describe.runIf(hasProgram('testssl'))('testssl.sh, as a client of the gateway', () => {
  it.concurrent.each(scans)(
    'finds nothing below OK but for what is listed with a reason: %s over %s',
    { timeout: 1_200_000 },
    async (_what, leg, checks) => {
      if (leg === 'ftp' && files === undefined) return console.warn('skipped: no vsftpd here');
      const findings = await scan(leg, checks);
      const bad = findings.filter(({ id, severity, finding }) => {
        if (severity === 'OK' || severity === 'INFO') return false;
        return !accepted.some(([known, text]) => known.test(id) && text.test(finding));
      });
      expect(bad).toEqual([]);
      const found = new Map(findings.map(({ id, finding }) => [id, finding]));
      const expected = checks.flatMap((check): readonly string[] => told[check]);
      expect(expected.filter((id) => !found.has(id))).toEqual([]);
      if (checks.includes('-p')) expect(found.get('TLS1')).toMatch(/not offered/);
      if (checks.includes('-U')) {
        expect(found.get('secure_client_renego')).toMatch(/not vulnerable/);
        expect(found.get('LUCKY13')).toMatch(/not vulnerable/);
      }
      if (checks.includes('-S')) expect(found.get('cert_chain_of_trust <cert#1>')).toMatch(/passed/);
    },
  );
});

/** It is a large shell script: more than two at once would take the machine from other tests. */
const lanes: Promise<unknown>[] = [Promise.resolve(), Promise.resolve()];

function scan(leg: keyof typeof ports, checks: readonly Check[]): Promise<readonly Finding[]> {
  const scanned = (lanes.shift() ?? Promise.resolve()).then(() => scanNow(leg, checks));
  lanes.push(scanned.catch(() => {}));
  return scanned;
}

async function scanNow(leg: keyof typeof ports, checks: readonly Check[]): Promise<readonly Finding[]> {
  const directory = mkdtempSync(join(tmpdir(), 'daylight-testssl-'));
  // The CA of the gateway alone, in place of the stores of vendors.
  copyFileSync(gateway.caFile, join(directory, 'ca.pem'));
  const report = join(directory, 'report.json');
  const args = ['--quiet', '--color', '0', '--warnings', 'off', '--ip', '127.0.0.1', '--jsonfile', report];
  const behind = leg === 'https' ? [] : ['-t', leg];
  // How long it waits for answers that a server of ours never gives.
  const waits = { MAX_WAITSOCK: '3', CCS_MAX_WAITSOCK: '2', HEARTBLEED_MAX_WAITSOCK: '2' };
  const env = { ...process.env, ...waits, CA_BUNDLES_PATH: directory };
  try {
    const command = [...args, ...behind, ...checks, `localhost:${ports[leg]}`];
    const ran = await run('testssl', command, { timeoutMs: 580_000, cwd: directory, env });
    // It ends with the number of findings that it minds, or 255 where it could not scan.
    expect(ran.code).toBeLessThan(240);
    return JSON.parse(readFileSync(report, 'utf8')) as readonly Finding[];
  } finally {
    rmSync(directory, { recursive: true });
  }
}

describe.runIf(hasProgram('sslscan'))('sslscan, as a client of the gateway', () => {
  it('sees TLS 1.2 and 1.3 with forward secrecy and AEAD alone, no renegotiation and no compression', async () => {
    const { stdout } = await run(
      'sslscan',
      ['--no-colour', '--xml=-', '--sni-name=localhost', `127.0.0.1:${ports.https}`],
      {
        timeoutMs: 60_000,
      },
    );
    const enabled = [...stdout.matchAll(/<protocol type="(\w+)" version="([\d.]+)" enabled="1"/g)];
    expect(enabled.map(([, type, version]) => `${type} ${version}`)).toEqual(['tls 1.2', 'tls 1.3']);
    const suites = [...stdout.matchAll(/<cipher [^>]*cipher="([^"]+)"/g)].map(([, suite = '']) => suite);
    expect(suites.length).toBeGreaterThanOrEqual(6);
    for (const suite of suites) expect(suite).toMatch(/^(?:TLS_|ECDHE-)(?:.*)(?:GCM|CHACHA20)/);
    expect(stdout).toContain('<altnames><![CDATA[DNS:localhost]]></altnames>');
    expect(stdout).toMatch(/<renegotiation supported="0"/);
    expect(stdout).not.toMatch(/vulnerable="1"/);
  }, 70_000);

  it('without a server name meets no certificate of another name', async () => {
    const { stdout } = await run(
      'sslscan',
      ['--no-colour', '--xml=-', '--sni-name=other.example', `127.0.0.1:${ports.https}`],
      {
        timeoutMs: 60_000,
      },
    );
    expect(stdout).not.toMatch(/<altnames>|<subject>/);
  }, 70_000);
});
