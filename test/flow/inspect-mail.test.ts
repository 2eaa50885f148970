import { createHash, randomBytes } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import type { MailEnvelope } from '../../src/core/mail.ts';
import type { AlarmFacts, MailFacts } from '../../src/core/record.ts';
import type { RuleCondition, RuleDocument } from '../../src/core/rule-document.ts';
import { inspectMail } from '../../src/flow/inspect-mail.ts';
import { mailRecordLine } from '../../src/records/mail-record.ts';
import { compileRules } from '../../src/rules/compile.ts';
import { parseRuleFile } from '../../src/rules/rule-file.ts';
import { tar, zip } from '../support/archives.ts';
import { ocsfProblems } from '../support/ocsf.ts';
import { flowFacts, startMs, writer } from '../support/record-facts.ts';

const envelope: MailEnvelope = {
  protocol: 'smtp',
  helo: 'client.example',
  authMechanism: 'PLAIN',
  authIdentity: 'anna',
  from: 'anna@office.example',
  to: ['bob@partner.example', 'carol@office.example'],
  accepted: 2,
  refused: 1,
  removedOffers: ['XCLIENT'],
};
const executable = Buffer.concat([
  Buffer.from('MZ\x90\0\x03\0\0\0\x04\0\0\0\xff\xff\0\0', 'latin1'),
  Buffer.alloc(600),
]);

const mail = [
  'From: Anna <anna@office.example>',
  'To: bob@partner.example, "Carol" <carol@office.example>',
  'Message-ID: <1@office.example>',
  'Subject: =?utf-8?Q?R=C3=A9sum=C3=A9?=',
  'Content-Type: multipart/mixed; boundary=b',
  '',
  '--b',
  'Content-Type: text/plain; charset=utf-16le',
  'Content-Transfer-Encoding: base64',
  '',
  Buffer.from('The codeword is falcon-seven', 'utf16le').toString('base64'),
  '--b',
  'Content-Type: application/pdf; name="report.pdf"',
  'Content-Disposition: attachment; filename="report.pdf"',
  'Content-Transfer-Encoding: base64',
  '',
  executable.toString('base64').replace(/.{76}/g, '$&\r\n'),
  '--b--',
  '',
].join('\r\n');

function document(when: RuleCondition, action: RuleDocument['action'] = 'block'): RuleDocument {
  return { id: 'r1', title: 'Rule', rev: 2, severity: 'high', action, tags: [], when, source: 'test:1' };
}

/** Sends the mail through rules in pieces; `at` says when a verdict other than allow came. */
function judge(rules: readonly RuleDocument[], piece = 1_000, text = mail) {
  const mails: MailFacts[] = [];
  const alarms: AlarmFacts[] = [];
  const flow = { ...flowFacts(), protocol: 'smtp' };
  const inspector = inspectMail({
    flow,
    rules: compileRules(rules),
    headers: { remove: [], set: [] },
    scanners: () => [],
    recorder: {
      flowEnd: () => {},
      httpTransaction: () => {},
      messages: () => {},
      mail: (_flow, facts) => mails.push(facts),
      transfer: () => {},
      alarm: (_flow, facts) => alarms.push(facts),
    },
  });
  const live = inspector.mail();
  const at: string[] = [];
  if (live.envelope(envelope).kind !== 'allow') at.push('envelope');
  for (let from = 0; from < text.length; from += piece) {
    if (live.content(Buffer.from(text.slice(from, from + piece), 'latin1')).kind !== 'allow') at.push('content');
  }
  if (live.end().kind !== 'allow') at.push('end');
  const reply = { code: 250, text: '2.0.0 queued' };
  live.finish({ complete: true, failure: undefined, detail: '', reply, bytes: text.length });
  return { inspector, at, alarms, facts: mails[0], flow };
}

describe('a rule about mails', () => {
  it.each<[string, RuleCondition, string]>([
    ['the sender', { field: 'mail.from', suffix: '@office.example' }, 'envelope'],
    ['one of the recipients', { field: 'mail.to', equals: 'carol@office.example' }, 'envelope'],
    ['how many there are', { field: 'mail.recipients', greaterThan: 1 }, 'envelope'],
    ['who has logged in', { field: 'mail.auth.identity', equals: 'anna' }, 'envelope'],
    [
      'the client',
      {
        all: [
          { field: 'client.ip', cidr: ['0.0.0.0/0'] },
          { field: 'mail.helo', exists: true },
        ],
      },
      'envelope',
    ],
    ['an encoded subject', { field: 'mail.subject', contains: 'Résumé' }, 'content'],
    ['a header', { field: 'mail.header.message-id', contains: '1@office' }, 'content'],
    ['all headers', { field: 'mail.headers', contains: 'Subject: Résumé' }, 'content'],
    ['text in UTF-16 and base64', { field: 'mail.part.body', contains: 'falcon-seven' }, 'content'],
    ['the name of an attachment', { field: 'mail.attachment.name', suffix: '.pdf' }, 'content'],
    [
      'its true type',
      { field: 'mail.attachment.type', equals: 'application/vnd.microsoft.portable-executable' },
      'content',
    ],
    [
      'its hash',
      { field: 'mail.attachment.sha256', equals: createHash('sha256').update(executable).digest('hex') },
      'content',
    ],
    ['its size', { field: 'mail.attachment.size', equals: executable.length }, 'content'],
    ['what it pretends to be', { field: 'mail.attachment.declared', equals: 'application/pdf' }, 'content'],
    ['what is not in the head', { field: 'mail.header.x-approved', exists: false }, 'content'],
    ['what no part is', { not: { field: 'mail.part.type', equals: 'image/png' } }, 'end'],
    ['the size of all', { field: 'mail.size', greaterThan: 1_000 }, 'end'],
  ])('sees %s', (_what, when, moment) => {
    for (const piece of [1, 7, 100_000]) {
      const { at, alarms, facts } = judge([document(when)], piece);
      expect(at).toEqual([moment]);
      expect(alarms).toMatchObject([{ isMail: true, txId: facts?.txId, match: { rule: { id: 'r1' } } }]);
      expect(facts).toMatchObject({ verdict: 'block', ruleIds: ['r1'], alarms: 1 });
    }
  });

  it('sees nothing across two parts, nor what is encoded', () => {
    const when = (contains: string): RuleCondition => ({ field: 'mail.part.body', contains });
    const base64 = executable.toString('base64').slice(0, 20);
    expect(judge([document({ any: [when('falcon-sevenMZ'), when(base64)] })]).at).toEqual([]);
  });

  it('is not held up by rules about HTTP, and does not see them', () => {
    const http = document({ field: 'http.host', equals: 'x' });
    expect(judge([http]).inspector.judges).toBe(false);
    expect(judge([http, document({ field: 'mail.from', exists: true }, 'alarm')])).toMatchObject({
      at: [],
      alarms: [{ match: { action: 'alarm' } }],
      inspector: { judges: true },
    });
  });

  it('cannot ask for HTTP besides, nor for one body of many', () => {
    const problems = (when: string) =>
      parseRuleFile(`- { id: a, title: A, action: block, when: ${when} }\n`, 'r.yaml')
        .problems.map(({ message }) => message)
        .join('\n');
    expect(problems('{ all: [{ field: mail.from, exists: true }, { field: http.host, exists: true }] }')).toMatch(
      /a rule about mails cannot ask for HTTP/,
    );
    expect(problems('{ field: mail.part.body, startsWithHex: 4d5a }')).toMatch(/all parts of a mail/);
    expect(problems('{ field: mail.attachment.size, greaterThan: 10 }')).toBe('');
  });
});

describe('the record of a mail', () => {
  it('holds envelope, head, parts and verdict, and is valid OCSF', () => {
    const { facts, flow } = judge([]);
    if (facts === undefined) throw new Error('no record');
    const line = mailRecordLine(
      writer,
      flow,
      { ...facts, startMs, endMs: startMs + 20 },
      { sequence: 3, loggedMs: startMs },
    );
    const record = JSON.parse(line);
    expect(ocsfProblems(record)).toEqual([]);
    expect(record).toMatchObject({
      class_uid: 4009,
      type_uid: 400903,
      status_id: 1,
      command: 'EHLO client.example',
      protocol_name: 'smtp',
      metadata: { labels: ['Decryption Detection'] },
      from: 'anna@office.example',
      email: {
        from: 'anna@office.example',
        to: ['bob@partner.example', 'carol@office.example'],
        subject: 'Résumé',
        files: [
          { name: 'report.pdf', mime_type: 'application/vnd.microsoft.portable-executable', size: executable.length },
        ],
      },
      unmapped: {
        gateway: {
          verdict: 'allow',
          mail: { auth_identity: 'anna', reply_code: 250, parts: 2, refused: 1, removed_offers: ['XCLIENT'] },
        },
      },
    });
  });

  it('bears addresses and heads of any kind', () => {
    const odd = `From: \xff\xfe\r\nTo: undisclosed:;\r\nX: ${'long '.repeat(30_000)}\r\n\r\n\x00\x01`;
    const { facts, flow } = judge([], 1_000, odd);
    if (facts === undefined) throw new Error('no record');
    const strange = { ...facts.envelope, from: '', to: Array.from({ length: 500 }, (_, index) => `"\xff ${index}"@x`) };
    const line = mailRecordLine(writer, flow, { ...facts, envelope: strange }, { sequence: 3, loggedMs: startMs });
    expect(Buffer.byteLength(line)).toBeLessThan(65_536);
    expect(ocsfProblems(JSON.parse(line))).toEqual([]);
    expect(JSON.parse(line).email).toMatchObject({ to: [] });
  });

  it('says what could not be inspected', () => {
    const text =
      'Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Transfer-Encoding: x-uuencode\r\n\r\nx\r\n';
    expect(judge([], 1_000, text).facts?.notInspected).toEqual([
      'multipart without its end',
      'an unknown content-transfer-encoding',
    ]);
  });

  it.each([
    ['a name in it', 'mail.attachment.member', 'invoice/run.exe'],
    ['the true type of a member', 'mail.attachment.member.type', 'application/vnd.microsoft.portable-executable'],
    ['that one is encrypted', 'mail.attachment.archive', 'encrypted'],
  ] as const)('and rules see of an archive %s', (_what, field, equals) => {
    const content = zip([
      { name: 'letter.txt', data: randomBytes(2_000) },
      { name: 'invoice/run.exe', data: executable },
      { name: 'secret.doc', data: executable, flags: 1 },
    ]);
    for (const file of [
      content,
      Buffer.concat([executable, content]),
      gzipSync(tar([{ name: 'in.zip', data: content }])),
    ]) {
      const base64 = file.toString('base64').replace(/.{76}/g, '$&\r\n');
      const text = `Content-Type: application/pdf; name=a.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n${base64}\r\n`;
      const { at, alarms, facts, flow } = judge([document({ field, equals })], 11, text);
      expect(at).toEqual(['content']);
      expect(alarms).toMatchObject([{ match: { field } }]);
      if (facts === undefined) throw new Error('no record');
      const line = mailRecordLine(writer, flow, facts, { sequence: 3, loggedMs: startMs });
      expect(ocsfProblems(JSON.parse(line))).toEqual([]);
    }
    expect(judge([document({ field, equals })]).at).toEqual([]);
  });

  it('lists what an archive holds, where no rule asks for it too', () => {
    const data = Buffer.from('x');
    const content = zip(
      Array.from({ length: 40 }, (_, index) => ({ name: `${index}.txt`, data, flags: index === 39 ? 1 : 0 })),
    );
    const text = `Content-Disposition: attachment; filename=a.zip\r\nContent-Transfer-Encoding: base64\r\n\r\n${content.toString('base64')}`;
    const { facts, flow } = judge([], 1_000, text);
    if (facts === undefined) throw new Error('no record');
    const line = mailRecordLine(writer, flow, facts, { sequence: 3, loggedMs: startMs });
    const [attachment] = JSON.parse(line).unmapped.gateway.mail.attachments;
    expect(attachment).toMatchObject({ member_count: 40, archive: ['encrypted'] });
    expect(attachment.members).toHaveLength(32);
    expect(attachment.members[3]).toBe('3.txt');
  });

  it('lists an attachment that is an archive by its type and hash', () => {
    const content = gzipSync('x');
    const text = `Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n${content.toString('base64')}`;
    expect(judge([], 3, text).facts?.files).toMatchObject([{ type: 'application/gzip', size: content.length }]);
  });
});
