import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { compileRules } from '../../src/rules/compile.ts';
import { parseRuleFile } from '../../src/rules/rule-file.ts';
import { verdictOf } from '../../src/rules/verdict-of.ts';
import { context, type Exchanged, exchange, ids, request, response } from './exchange.ts';

const directory = new URL('../../config/rules/', import.meta.url);
const files = readdirSync(directory).filter((name) => name.endsWith('.yaml'));
const parsed = files.map((name) => parseRuleFile(readFileSync(new URL(name, directory), 'utf8'), name));
const starter = compileRules(parsed.flatMap(({ rules }) => rules));

const cards = ['4111111111111111', '5555555555554444', '378282246310005', '6011111111111117', '3530111333300000'];
const executables: readonly (readonly [name: string, hex: string])[] = [
  ['Windows', '4d5a90000300000004000000ffff0000b8000000'],
  ['Linux', '7f454c4602010100000000000000000003003e00'],
  ['macOS', 'cffaedfe07000001030000000200000010000000'],
  ['macOS, universal', 'cafebabe00000002010000070000000300004000'],
];
const download = (hex: string, type: string): Exchanged => ({
  request: { method: 'GET', framing: { kind: 'none' } },
  response: { headers: [['Content-Type', type]] },
  responseBody: [Buffer.from(hex, 'hex'), Buffer.alloc(1_000)],
});

test('every file of the starter set is right', () => {
  expect(files).toEqual(['prohibited-sites.yaml', 'starter.yaml']);
  expect(parsed.flatMap(({ problems }) => problems)).toEqual([]);
  expect(starter.rules.length).toBeGreaterThan(8);
});

describe('it catches', () => {
  test.each([
    ['a card number in JSON', { requestBody: [Buffer.from(`{"pan":"${cards[0]}"}`)] }, ['daylight.dlp.card-number']],
    [
      'a card number in a form',
      { requestBody: [Buffer.from('pan=4111+1111+1111+1111&cvv=1')] },
      ['daylight.dlp.card-number'],
    ],
    [
      'five card numbers',
      { requestBody: [Buffer.from(cards.join('\n'))] },
      ['daylight.dlp.card-number', 'daylight.dlp.card-numbers'],
    ],
    [
      'a card number in a query',
      { request: { target: `/pay?pan=${cards[0]}` } },
      ['daylight.dlp.card-number-in-query'],
    ],
    [
      'a private key',
      { requestBody: [Buffer.from('-----BEGIN RSA PRIVATE KEY-----\nMIIE')] },
      ['daylight.dlp.private-key'],
    ],
    [
      'a PuTTY key',
      { requestBody: [Buffer.from('PuTTY-User-Key-File-3: ssh-ed25519\n')] },
      ['daylight.dlp.private-key'],
    ],
    [
      'a key pasted into a form',
      { requestBody: [Buffer.from('k=-----BEGIN+PRIVATE+KEY-----%0AMIIE')] },
      ['daylight.dlp.private-key'],
    ],
    [
      'a cloud credential',
      { requestBody: [Buffer.from(`id=AKIA${'ABCDEFGH'.repeat(2)}`)] },
      ['daylight.dlp.cloud-credential'],
    ],
    ['a prohibited site', { request: { host: 'prohibited.example' } }, ['daylight.sites.prohibited']],
    ['a subdomain of one', { request: { host: 'a.b.gambling.test' } }, ['daylight.sites.prohibited']],
    [
      'a JNDI look-up',
      { request: { headers: [['User-Agent', `$${'{JNDI:ldap://x}'}`]] } },
      ['daylight.attack.log4shell'],
    ],
    ['a file of secrets', { request: { target: '/app/../.env' } }, ['daylight.exposure.sensitive-file']],
    ['an executable by its type', download('00', 'application/x-msdownload'), ['daylight.malware.executable']],
  ] as readonly (readonly [string, Exchanged, readonly string[]])[])('%s', (_, parts, expected) => {
    expect(ids(exchange(starter, parts))).toEqual(expected);
  });

  test.each(executables)('an executable for %s by its first bytes', (_, hex) => {
    expect(ids(exchange(starter, download(hex, 'application/octet-stream')))).toEqual(['daylight.malware.executable']);
  });

  test('an executable that calls itself an image', () => {
    const [, hex] = executables[1] ?? ['', ''];
    expect(ids(exchange(starter, download(hex, 'image/png')))).toEqual([
      'daylight.malware.executable',
      'daylight.malware.executable-disguised',
    ]);
  });
});

describe('it leaves alone', () => {
  test.each([
    ['a page', download('3c21646f63747970652068746d6c3e', 'text/html')],
    ['an archive', download('504b0304', 'application/zip')],
    ['a Java class', download('cafebabe00000041', 'application/java-vm')],
    ['text that begins with MZ', download('4d5a20697320746578742e2e', 'text/plain')],
    ['numbers', { requestBody: [Buffer.from('{"t":1700000000000,"x":0.4111111111111111,"id":"9f86d081884c7d65"}')] }],
    ['a certificate', { requestBody: [Buffer.from('-----BEGIN CERTIFICATE-----\nMIID')] }],
    ['a signed request', { requestBody: [Buffer.from(`x-amz-credential=AKIA${'A'.repeat(16)}%2F20260101%2Feu`)] }],
    ['a site with a like name', { request: { host: 'notgambling.test' } }],
    ['a file of secrets that is not there', { request: { target: '/.env' }, response: { status: 404 } }],
  ] as readonly (readonly [string, Exchanged])[])('%s', (_, parts) => {
    expect(ids(exchange(starter, parts))).toEqual([]);
  });
});

test('by default only a prohibited site is blocked', () => {
  expect(starter.rules.filter(({ match }) => match.action !== 'alarm').map(({ ref }) => ref.id)).toEqual([
    'daylight.sites.prohibited',
  ]);
  expect(verdictOf(exchange(starter, { request: { host: 'gambling.test' } })).kind).toBe('block');
});

test('of a response it looks at the first bytes only', () => {
  const scan = starter.begin(context);
  scan.requestHead(request({ framing: { kind: 'none' } }));
  scan.responseHead(response({ framing: { kind: 'length', bytes: 1_000_000 } }));
  expect(scan.needsResponseBody).toBe(true);
  scan.responseBody(Buffer.alloc(16_384, 0x89));
  expect(scan.needsResponseBody).toBe(false);
});
