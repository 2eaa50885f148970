import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { limits } from '../../src/core/limits.ts';
import type { ScannerPolicy } from '../../src/core/scanner.ts';
import { startDataPlane, type TestDataPlane } from '../support/data-plane.ts';
import { type IcapServer, options, startIcapServer, unmodified } from '../support/icap-server.ts';
import { type MailOrigin, startMailOrigin, Typist } from '../support/mail-origin.ts';
import { openTunnel } from '../support/tunnel.ts';

const blocked = 'ICAP/1.0 403 Forbidden\r\nX-Infection-Found: Type=0; Resolution=2; Threat=Test.Eicar;\r\n\r\n';

let said: string | undefined = unmodified;
let server: IcapServer;
let origin: MailOrigin;

beforeAll(async () => {
  server = await startIcapServer(({ method, text }) => {
    if (method === 'OPTIONS') return options();
    return text.includes('VIRUS') ? blocked : said;
  });
  origin = await startMailOrigin(undefined);
});
afterAll(async () => {
  await origin?.[Symbol.asyncDispose]();
  await server?.[Symbol.asyncDispose]();
});

function scanner(changes: Partial<ScannerPolicy> = {}, port = server.port): ScannerPolicy {
  const authority = `127.0.0.1:${port}`;
  return {
    id: 'av',
    service: { host: '127.0.0.1', port, url: `icap://${authority}/scan`, authority },
    mode: 'both',
    onFailure: 'block',
    timeoutMs: 1_000,
    maximumBytes: 10_000,
    hosts: [],
    assets: [],
    except: [],
    ...changes,
  };
}

const part = (name: string, content: string): string =>
  [
    '--b',
    `Content-Type: application/octet-stream; name="${name}"`,
    'Content-Transfer-Encoding: base64',
    '',
    Buffer.from(content).toString('base64'),
    '',
  ].join('\r\n');
const mailOf = (...contents: readonly string[]): string =>
  `Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n${contents.map((content, index) => part(`f${index}.bin`, content)).join('')}--b--\r\n`;

/** Sends mails in one session, and returns the answer to each. */
async function send(plane: TestDataPlane, ...mails: readonly string[]): Promise<readonly string[]> {
  const typist = new Typist(await openTunnel(plane.port, `127.0.0.1:${origin.port}`));
  await typist.hears(/^220 /);
  typist.say('EHLO me\r\n');
  await typist.hears(/250 .*\r\n$/);
  const answers: string[] = [];
  for (const mail of mails) {
    typist.say('MAIL FROM:<a@x>\r\n');
    await typist.hears(/^250 /);
    typist.say('RCPT TO:<b@y>\r\n');
    await typist.hears(/^250 /);
    typist.say('DATA\r\n');
    await typist.hears(/^354 /);
    typist.say(`${mail}.\r\n`);
    answers.push(await typist.hears(/^\d{3} .*\r\n$/));
  }
  typist.say('QUIT\r\n');
  await typist.hearsEnd();
  return answers;
}

describe('a content scanner', () => {
  it.each(['base64 (a comment)', '(a) (b) Base64', 'base64;', '"base64"'])(
    'is shown a part decoded whose encoding is written %s',
    async (written) => {
      await using plane = await startDataPlane({ scanners: [scanner()] });
      const [answer] = await send(plane, mailOf('VIRUS').replace('base64', written));
      expect(answer).toMatch(/^554 5\.7\.1 POLICY_SCANNER_BLOCK /);
    },
  );

  it('is not passed by in a part behind more than are looked at, nor behind a head that is too long', async () => {
    const many = mailOf(...Array.from({ length: limits.mailParts }, () => ''), 'VIRUS');
    const long = `X-Long: ${'x'.repeat(limits.mailHeadBytes)}\r\n${mailOf('VIRUS')}`;
    await using strict = await startDataPlane({ scanners: [scanner({ maximumBytes: 1_000_000 })] });
    for (const answer of await send(strict, many, long)) expect(answer).toMatch(/^554 5\.7\.1 POLICY_UNSCANNABLE /);
    expect(strict.mails[0]?.scans).toMatchObject([{ outcome: 'failed', failure: 'POLICY_UNSCANNABLE' }]);
    await using lenient = await startDataPlane({ scanners: [scanner({ onFailure: 'allow' })] });
    expect(await send(lenient, many)).toEqual([expect.stringMatching(/^250 /)]);
  });

  it('is shown each part of a mail decoded, and lets it pass as it came', async () => {
    await using plane = await startDataPlane({ scanners: [scanner()] });
    const before = server.requests.length;
    const mail = mailOf('first content', 'second content');
    expect(await send(plane, mail)).toMatchObject([expect.stringMatching(/^250 /)]);
    expect(origin.mails.at(-1)).toBe(mail);
    const shown = server.requests.slice(before).filter(({ method }) => method === 'REQMOD');
    expect(shown.map(({ text }) => /f\d\.bin/.exec(text)?.[0])).toEqual(['f0.bin', 'f1.bin']);
    expect(shown[1]?.text).toContain('second content');
    expect(plane.mails[0]).toMatchObject({
      verdict: 'allow',
      scans: [
        { scanner: 'av', message: 'mail', part: 1, outcome: 'clean' },
        { scanner: 'av', message: 'mail', part: 2, outcome: 'clean' },
      ],
    });
  });

  it('blocks a mail with 554 before the origin has a byte of it, with an alarm, and the session goes on', async () => {
    await using plane = await startDataPlane({ scanners: [scanner()] });
    const before = origin.mails.length;
    const [first, second] = await send(plane, mailOf('fine', 'a VIRUS'), mailOf('fine'));
    expect(first).toMatch(/^554 5\.7\.1 POLICY_SCANNER_BLOCK scanner av: Test\.Eicar/);
    expect(second).toMatch(/^250 /);
    expect(origin.mails.slice(before)).toEqual([mailOf('fine')]);
    expect(plane.alarms).toMatchObject([
      { isMail: true, match: { rule: { id: 'scanner.av' }, field: 'mail.part.body', excerpt: 'Test.Eicar' } },
    ]);
    expect(plane.mails[0]).toMatchObject({
      verdict: 'block',
      alarms: 1,
      outcome: { failure: 'POLICY_SCANNER_BLOCK' },
      scans: [{ outcome: 'clean' }, { outcome: 'blocked', part: 2 }],
    });
  });

  it.each([
    ['does not answer', undefined, 'GATEWAY_SCANNER_TIMEOUT'],
    ['answers nonsense', 'HTTP/1.1 204 No Content\r\n\r\n', 'GATEWAY_SCANNER_FAILED'],
    ['hangs up', '', 'GATEWAY_SCANNER_UNREACHABLE'],
  ])('that %s follows policy', async (_what, answer, code) => {
    said = answer;
    for (const onFailure of ['block', 'allow'] as const) {
      await using plane = await startDataPlane({ scanners: [scanner({ onFailure, timeoutMs: 300 })] });
      const [reply] = await send(plane, mailOf('fine'));
      if (onFailure === 'allow') expect(reply).toMatch(/^250 /);
      else expect(reply).toMatch(new RegExp(`^451 4\\.7\\.1 ${code}`));
      expect(plane.mails[0]?.scans).toMatchObject([{ outcome: 'failed', failure: code }]);
    }
    said = unmodified;
  });

  it('is shown no part beyond its limit', async () => {
    for (const onFailure of ['block', 'allow'] as const) {
      await using plane = await startDataPlane({ scanners: [scanner({ onFailure, maximumBytes: 100 })] });
      const [reply] = await send(plane, mailOf('x'.repeat(1_000)));
      expect(reply).toMatch(onFailure === 'allow' ? /^250 / : /^554 5\.7\.1 POLICY_UNSCANNABLE/);
      expect(plane.mails[0]?.scans).toMatchObject([{ outcome: 'failed', failure: 'POLICY_UNSCANNABLE' }]);
    }
  });

  it.each(['except', 'response'] as const)('is not asked where it does not apply: %s', async (reason) => {
    const changes = reason === 'except' ? { except: ['127.0.0.1'] } : { mode: 'response' as const };
    await using plane = await startDataPlane({ scanners: [scanner(changes)] });
    const before = server.requests.length;
    const [reply] = await send(plane, mailOf('a VIRUS'));
    expect(reply).toMatch(/^250 /);
    expect(server.requests).toHaveLength(before);
  });

  it('blocks the end of a mail that is too long to wait', async () => {
    const mail = { requireTls: false, xclient: false, holdBytes: 100, headers: { remove: [], set: [] } };
    const spool = { directory: 'unused', mailBytes: 0, totalBytes: 0 };
    await using plane = await startDataPlane({ scanners: [scanner()], mail: { ...mail, spool } });
    const before = origin.mails.length;
    const typist = new Typist(await openTunnel(plane.port, `127.0.0.1:${origin.port}`));
    await typist.hears(/^220 /);
    typist.say('EHLO me\r\nMAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nDATA\r\n');
    await typist.hears(/354 Go on\r\n$/);
    const text = `${mailOf('x'.repeat(5_000), 'a VIRUS')}.\r\n`;
    typist.say(text.slice(0, 3_000));
    await new Promise((resolve) => setTimeout(resolve, 200));
    typist.say(text.slice(3_000));
    expect(await typist.hearsEnd()).toMatch(/554 5\.7\.1 POLICY_SCANNER_BLOCK/);
    await expect.poll(() => plane.mails.length).toBe(1);
    expect(origin.mails.slice(before)).toEqual([]);
  });
});
