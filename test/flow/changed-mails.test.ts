import { describe, expect, it } from 'vitest';
import { limits } from '../../src/core/limits.ts';
import type { HeaderPolicy } from '../../src/core/policy.ts';
import type { AlarmFacts, MailFacts } from '../../src/core/record.ts';
import { inspectMail } from '../../src/flow/inspect-mail.ts';
import { byteText } from '../../src/rules/byte-text.ts';
import { compileRules } from '../../src/rules/compile.ts';
import { parseRuleFile } from '../../src/rules/rule-file.ts';
import { holdShare } from '../support/hold-share.ts';
import { flowFacts } from '../support/record-facts.ts';
import { openSmtp, play } from './relay/smtp-bench.ts';

interface Wishes {
  readonly rules?: string;
  readonly headers?: Partial<HeaderPolicy>;
  readonly holdBytes?: number;
}

const cards = `
- id: cards
  title: No cards
  action: redact
  when: { field: mail.part.body, detector: card_number }
`;
const secrets = `
- id: secrets
  title: No secrets
  action: redact
  when:
    all:
      - { field: mail.part.body, contains: falcon }
      - { field: mail.to, suffix: '@y' }
      - { not: { field: mail.header.x-approved, exists: true } }
`;

/** A session behind a real inspector, its envelope said. */
function open({ rules = '', headers = {}, holdBytes = 100_000 }: Wishes) {
  const parsed = parseRuleFile(rules, 'r.yaml');
  expect(parsed.problems).toEqual([]);
  const mails: MailFacts[] = [];
  const alarms: AlarmFacts[] = [];
  const inspector = inspectMail({
    flow: { ...flowFacts(), protocol: 'smtp' },
    rules: compileRules(parsed.rules),
    headers: { remove: [], set: [], ...headers },
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
  const budget = holdShare(10_000_000);
  const smtp = openSmtp({ inspector, hold: { budget, holdBytes, spool: undefined } });
  play(smtp, ['S: 220 mx.example ESMTP', 'C: EHLO me', 'S: 250-mx', 'S: 250 CHUNKING']);
  play(smtp, ['C: MAIL FROM:<a@x>', 'S: 250 Ok', 'C: RCPT TO:<b@y>', 'S: 250 Ok']);
  const before = smtp.wire.to('origin').length;
  const say = (text: string, piece: number): void => {
    for (let at = 0; at < text.length; at += piece) smtp.say(text.slice(at, at + piece));
  };
  /** What the origin got since the envelope. */
  const got = (): string => smtp.wire.to('origin').slice(before);
  return { smtp, say, got, mails, alarms };
}

/** Sends a mail by DATA and returns what the origin got of it, without the DATA line and the end. */
function sent(wishes: Wishes, mail: string, piece = 100_000) {
  const session = open(wishes);
  session.say('DATA\r\n', 100);
  const stuffed = mail.replace(/^\./gm, '..');
  const [first, rest] = [stuffed.slice(0, 20), stuffed.slice(20)];
  session.say(first, piece);
  session.say(`${rest}\r\n.\r\n`, piece);
  session.smtp.answer('354 go\r\n');
  session.smtp.answer('250 queued\r\n');
  const [, got = ''] = /^DATA\r\n(.*)\r\n\.\r\n$/s.exec(session.got()) ?? [];
  return { ...session, mail: got.replace(/^\.\./gm, '.'), facts: session.mails[0] };
}

const head = 'Subject: x\r\nMIME-Version: 1.0\r\n';
const inPart = (headers: string, body: string): string =>
  `${head}Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nfirst\r\n--b\r\n${headers}\r\n${body}\r\n--b--`;
const lines = (text: string, width: number): string => text.replace(new RegExp(`.{${width}}`, 'g'), '$&\r\n');
const pieces = [1, 2, 3, 7, 64, 100_000];

describe('a redact rule', () => {
  const text = 'Pay with 4111 1111 1111 1111 or 5500-0000-0000-0004, not with 4111 1111 1111 1112.';
  const masked = 'Pay with ******************* or *******************, not with 4111 1111 1111 1112.';

  it.each(pieces)('masks text as it stands, dots and all (pieces of %i)', (piece) => {
    const mail = `${head}\r\n..dots\r\n.${text}\r\n.4111111111111111`;
    const { mail: got, facts, alarms } = sent({ rules: cards }, mail, piece);
    expect(got).toBe(`${head}\r\n..dots\r\n.${masked}\r\n.****************`);
    expect(alarms).toMatchObject([{ match: { rule: { id: 'cards' }, action: 'redact' } }]);
    expect(facts).toMatchObject({ verdict: 'allow', changes: ['mail body masked: 3 (rule cards)'] });
  });

  it.each(pieces)('masks base64 at every alignment, and keeps its lines (pieces of %i)', (piece) => {
    for (const before of ['', 'a', 'ab', 'abc']) {
      for (const width of [4, 5, 76]) {
        const plain = before + text;
        const body = lines(Buffer.from(plain).toString('base64'), width);
        const mail = inPart('Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n', body);
        const { mail: got } = sent({ rules: cards }, mail, piece);
        expect(got.length).toBe(mail.length);
        const [, part = ''] = /base64\r\n\r\n(.*)\r\n--b--/s.exec(got) ?? [];
        expect(Buffer.from(part, 'base64').toString()).toBe(before + masked);
        expect(part.split('\r\n').map(({ length }) => length)).toEqual(body.split('\r\n').map(({ length }) => length));
      }
    }
  });

  it.each(pieces)('masks quoted-printable, escaped or not, over soft line breaks (pieces of %i)', (piece) => {
    const body = 'caf=C3=A9 =34111 11=\r\n11 1=  \r\n111=201111 =\r\n=3D=';
    const mail = inPart('Content-Transfer-Encoding: quoted-printable\r\n', body);
    const { mail: got } = sent({ rules: cards }, mail, piece);
    expect(got).toContain('caf=C3=A9 =2A******=\r\n****=  \r\n***=2A**** =\r\n=3D=');
  });

  it.each(pieces)('finds places in text of another charset (pieces of %i)', (piece) => {
    const latin = 'Content-Type: text/plain; charset=iso-8859-1\r\n';
    const mail = inPart(latin, 'Caf\xe9 \xfcber \x80 4111 1111 1111 1111 \xe9');
    expect(sent({ rules: cards }, mail, piece).mail).toContain('Caf\xe9 \xfcber \x80 ******************* \xe9');
    const coded = Buffer.from('\xe9\xe9 4111 1111 1111 1111 \xe9', 'latin1').toString('base64');
    const base64 = inPart(`${latin}Content-Transfer-Encoding: base64\r\n`, coded);
    const [, part = ''] = /base64\r\n\r\n(.*)\r\n--b--/s.exec(sent({ rules: cards }, base64, piece).mail) ?? [];
    expect(Buffer.from(part, 'base64').toString('latin1')).toBe('\xe9\xe9 ******************* \xe9');
  });

  it.each([
    ['of several bytes a character', 'Content-Type: text/plain; charset=utf-16le', Buffer.from(text, 'utf16le')],
    ['of several bytes a character in East Asia', 'Content-Type: text/plain; charset=shift_jis', Buffer.from(text)],
  ])('blocks what it finds in a charset %s', (_what, type, bytes) => {
    const mail = inPart(`${type}\r\nContent-Transfer-Encoding: base64\r\n`, bytes.toString('base64'));
    const { smtp, got, facts } = sent({ rules: cards }, mail);
    expect(smtp.wire.to('client')).toMatch(/550 5\.7\.1 POLICY_RULE_BLOCK cards\r\n/);
    expect(got()).toBe('RSET\r\n');
    expect(facts).toMatchObject({ verdict: 'block', rule: { id: 'cards' }, changes: [] });
  });

  it('blocks what it finds behind padding, where readers cut base64 differently', () => {
    const body = `${Buffer.from('a').toString('base64')}\r\n${Buffer.from(text).toString('base64')}`;
    const mail = inPart('Content-Transfer-Encoding: base64\r\n', body);
    expect(sent({ rules: cards }, mail).smtp.wire.to('client')).toMatch(/550 5\.7\.1 POLICY_RULE_BLOCK cards\r\n/);
  });

  it('blocks what reaches further back than what is kept', () => {
    const rules = '- { id: w, title: W, action: redact, when: { field: mail.part.body, contains: "4111 1111 1111" } }';
    // Junk between the symbols, which readers pass over.
    const body = ['xx 4111 1', '111 1111 1'].map((text) => Buffer.from(text).toString('base64').slice(0, 12));
    const mail = inPart('Content-Transfer-Encoding: base64\r\n', body.join('!'.repeat(30_000)));
    const session = open({ rules });
    session.say(`DATA\r\n${mail}\r\n.\r\n`, 1_000);
    expect(session.smtp.wire.to('client')).toMatch(/550 5\.7\.1 POLICY_RULE_BLOCK w\r\n/);
  });

  it('looks at envelope and head too, where it asks for them', () => {
    expect(sent({ rules: secrets }, `${head}\r\nthe falcon`).mail).toBe(`${head}\r\nthe ******`);
    const approved = `X-Approved: yes\r\n${head}\r\nthe falcon`;
    expect(sent({ rules: secrets }, approved).mail).toBe(approved);
    expect(sent({ rules: secrets.replace('@y', '@z') }, `${head}\r\nthe falcon`).facts?.changes).toEqual([]);
  });

  it.each(pieces)('masks a mail that is too long to wait, and keeps its lengths (pieces of %i)', (piece) => {
    const body = `${'line of text\r\n'.repeat(2_000)}4111 1111 1111 1111 ${'line of text\r\n'.repeat(500)}`;
    const session = open({ rules: cards, holdBytes: 5_000 });
    const mail = `${head}\r\n${body}\r\n.\r\n`;
    session.say(`DATA\r\n${mail.slice(0, 20_000)}`, Math.max(64, piece));
    session.smtp.answer('354 go\r\n');
    session.say(mail.slice(20_000), Math.max(64, piece));
    session.smtp.answer('250 queued\r\n');
    expect(session.got()).toBe(`DATA\r\n${mail.replace('4111 1111 1111 1111', '*'.repeat(19))}`);
    expect(session.smtp.wire.to('client')).toMatch(/354 Go on\r\n250 queued\r\n$/);
  });

  it('masks chunks of BDAT over their borders', () => {
    for (const [holdBytes, piece] of [
      [100_000, 1],
      [100_000, 1_000],
      [10, 1],
      [10, 1_000],
    ] as const) {
      const session = open({ rules: cards, holdBytes });
      const [one, two] = [`${head}\r\nnumber 4111 1111`, ' 1111 1111 ends'];
      session.say(`BDAT ${one.length}\r\n${one}`, piece);
      expect(session.smtp.wire.to('client')).toMatch(/250 2\.0\.0 Chunk taken\r\n$/);
      session.say(`BDAT ${two.length} LAST\r\n${two}`, piece);
      const maskedOne = `${head}\r\nnumber *********`;
      expect(session.got()).toBe(`BDAT ${one.length}\r\n${maskedOne}BDAT ${two.length} LAST\r\n********** ends`);
      session.smtp.answer('250 chunk\r\n250 queued\r\n');
      expect(session.smtp.wire.to('client')).toMatch(/Chunk taken\r\n250 queued\r\n$/);
    }
  });
});

describe('a head', () => {
  const headers = { set: [['X-Gateway', 'daylight']] as const, remove: ['x-spoofed'] };

  it.each(pieces)('gets what policy sets, and loses what it removes (pieces of %i)', (piece) => {
    const mail = 'From: a@x\r\nx-spoofed: 1\r\n folded\r\nX-GATEWAY : fake\r\nSubject: x\r\n\r\nX-Gateway: body';
    const { mail: got, facts } = sent({ headers }, mail, piece);
    expect(got).toBe('X-Gateway: daylight\r\nFrom: a@x\r\nSubject: x\r\n\r\nX-Gateway: body');
    expect(facts?.changes).toEqual(['mail header removed: x-spoofed', 'mail header set: X-Gateway']);
  });

  it.each([
    [
      'with lines that end in LF alone',
      'x-spoofed: 1\nSubject: x\n\nbody',
      'X-Gateway: daylight\r\nSubject: x\n\nbody',
    ],
    ['of nothing', '\r\nbody', 'X-Gateway: daylight\r\n\r\nbody'],
    ['without a body', 'Subject: x', 'X-Gateway: daylight\r\nSubject: x'],
    ['that is no head', 'just text\r\nx-spoofed: 1', 'X-Gateway: daylight\r\njust text'],
  ])('%s is changed too', (_what, mail, expected) => {
    expect(sent({ headers }, mail).mail).toBe(expected);
  });

  it.each(pieces)('loses what policy removes behind dots that its receiver takes off (pieces of %i)', (piece) => {
    const session = open({ headers });
    session.say(
      'DATA\r\nFrom: a@x\r\n.x-spoofed: 1\r\n. folded\r\n..x-spoofed: 2\r\nSubject: x\r\n\r\nbody\r\n.\r\n',
      piece,
    );
    session.smtp.answer('354 go\r\n');
    const kept = 'From: a@x\r\n..x-spoofed: 2\r\nSubject: x\r\n\r\nbody\r\n.\r\n';
    expect(session.got()).toBe(`DATA\r\nX-Gateway: daylight\r\n${kept}`);
  });

  it('goes on behind a dot alone where it comes in a chunk', () => {
    const session = open({ headers });
    const mail = 'From: a@x\r\n.\r\nx-spoofed: 1\r\n\r\nbody';
    session.say(`BDAT ${mail.length} LAST\r\n${mail}`, 100);
    expect(session.got()).toMatch(/^BDAT \d+\r\nX-Gateway: daylight\r\nFrom: a@x\r\n\.\r\nBDAT \d+ LAST\r\n\r\nbody$/);
  });

  it('that begins behind a dot in the middle of a field is refused', () => {
    const session = open({ headers });
    session.say('DATA\r\n. folded\r\nSubject: x\r\n\r\nbody\r\n.\r\n', 100);
    session.smtp.answer('354 go\r\n');
    expect(session.smtp.wire.to('client')).toMatch(/552 5\.3\.4 CLIENT_SMTP_TOO_LARGE/);
  });

  it('that begins in the middle of a field is refused, since it would become part of what is set', () => {
    const session = open({ headers });
    session.say('DATA\r\n folded\r\nSubject: x\r\n\r\nbody\r\n.\r\n', 100);
    session.smtp.answer('354 go\r\n');
    expect(session.smtp.wire.to('client')).toMatch(/552 5\.3\.4 CLIENT_SMTP_TOO_LARGE/);
    expect(session.got()).toBe('DATA\r\n');
    expect(session.smtp.wire.ending).toBe('close CLIENT_SMTP_TOO_LARGE');
  });

  it('gets what a rule finds only at the end of the mail, without an alarm', () => {
    const rules = `
- id: tag
  title: Tag
  action: setHeader
  header: { in: mail, name: X-Found, value: falcon }
  when: { field: mail.part.body, contains: falcon }
`;
    const { mail, facts, alarms } = sent({ rules }, `DKIM-Signature: v=1\r\n${head}\r\nthe falcon`);
    expect(mail).toBe(`X-Found: falcon\r\nDKIM-Signature: v=1\r\n${head}\r\nthe falcon`);
    expect(alarms).toEqual([]);
    expect(facts).toMatchObject({
      ruleIds: ['tag'],
      changes: ['mail header set: X-Found (rule tag)', 'a DKIM signature may not fit any more'],
    });
    expect(sent({ rules }, `${head}\r\nnothing`).mail).toBe(`${head}\r\nnothing`);
  });

  it('keeps what a rule finds too late, and the record says so', () => {
    const rules = `
- id: tag
  title: Tag
  action: setHeader
  header: { in: mail, name: X-Found, value: falcon }
  when: { field: mail.part.body, contains: falcon }
`;
    const session = open({ rules, holdBytes: 1_000 });
    session.say(`DATA\r\n${head}\r\n${'x'.repeat(2_000)}`, 500);
    session.smtp.answer('354 go\r\n');
    session.say('falcon\r\n.\r\n', 100);
    session.smtp.answer('250 queued\r\n');
    expect(session.got()).not.toContain('X-Found');
    expect(session.mails[0]?.changes).toEqual(['mail header too late to change: X-Found (rule tag)']);
  });

  it.each([1, 1_000])('is changed in chunks of BDAT, whose sizes fit (pieces of %i)', (piece) => {
    const session = open({ headers });
    const parts = ['From: a@x\r\nx-spoof', 'ed: 1\r\n', 'Subject: x\r\n\r\nbody'];
    const [one = '', two = '', three = ''] = parts;
    session.say(`BDAT ${one.length}\r\n${one}`, piece);
    session.say(`BDAT ${two.length}\r\n${two}`, piece);
    session.say(`BDAT ${three.length} LAST\r\n${three}`, piece);
    const changed = 'X-Gateway: daylight\r\nFrom: a@x\r\n';
    expect(session.got()).toBe(`BDAT ${changed.length}\r\n${changed}BDAT ${three.length} LAST\r\n${three}`);
    session.smtp.answer('250 chunk\r\n250 queued\r\n');
    expect(session.smtp.wire.to('client').match(/250 2\.0\.0 Chunk taken/g)).toHaveLength(2);
    expect(session.smtp.wire.to('client')).toMatch(/250 queued\r\n$/);
  });

  it('is changed although there is no room for it to wait until it is whole', () => {
    const session = open({ headers, holdBytes: 10 });
    const mail = 'From: a@x\r\nx-spoofed: 1\r\nSubject: x\r\n\r\nbody\r\n.\r\n';
    session.say(`DATA\r\n${mail}`, 5);
    session.smtp.answer('354 go\r\n');
    expect(session.got()).toBe('DATA\r\nX-Gateway: daylight\r\nFrom: a@x\r\nSubject: x\r\n\r\nbody\r\n.\r\n');
  });

  it('in more chunks than may wait is refused, and no line of them kept', () => {
    const session = open({ headers });
    session.say('BDAT 0\r\n'.repeat(limits.mailChunks), 50_000);
    session.say('BDAT 13 LAST\r\nFrom: a@x\r\n\r\n', 100);
    expect(session.got()).toBe('RSET\r\n');
    expect(session.smtp.wire.to('client')).toMatch(/Chunk taken\r\n552 5\.3\.4 CLIENT_SMTP_TOO_LARGE [^\r]*\r\n$/);
    expect(session.mails[0]?.outcome.failure).toBe('CLIENT_SMTP_TOO_LARGE');
  });

  it('is changed in one long chunk that goes on as it comes', () => {
    const session = open({ headers, holdBytes: 1_000 });
    const mail = `From: a@x\r\nx-spoofed: 1\r\n\r\n${'line\r\n'.repeat(1_000)}`;
    session.say(`BDAT ${mail.length} LAST\r\n${mail}`, 100);
    const rest = mail.slice(mail.indexOf('\r\n\r\n'));
    const changed = 'X-Gateway: daylight\r\nFrom: a@x\r\n';
    const left = mail.length - 'From: a@x\r\nx-spoofed: 1\r\n'.length;
    expect(session.got()).toBe(`BDAT ${changed.length}\r\n${changed}BDAT ${left} LAST\r\n${rest.slice(2)}`);
  });
});

describe('a redact rule about a field of the head', () => {
  const subjects = `
- { id: subjects, title: S, action: redact, when: { field: mail.subject, contains: [falcon, Größe], nocase: true } }
- { id: cards, title: C, action: redact, when: { all: [{ field: mail.header.x-note, detector: card_number }, { field: mail.from, suffix: '@x' }] } }
`;
  const word = (text: string): string => `=?utf-8?B?${Buffer.from(text).toString('base64')}?=`;

  it.each(pieces)('masks it as sent, in encoded words and in every line (pieces of %i)', (piece) => {
    const head = [
      'From: a@x',
      `Subject: the Falcon ${word('and the fal')}`,
      ` ${word('con ü')} =?iso-8859-1?Q?of_gr=F6=DFe=21?= ${word('unchanged')} FALCON`,
      'X-Note: no number',
      'X-Note: 4111 1111 1111 1111 (mine)',
      'To: b@y',
    ].join('\r\n');
    const { mail, facts, alarms } = sent({ rules: subjects }, `${head}\r\n\r\nfalcon`, piece);
    const [changed = '', body] = mail.split('\r\n\r\n');
    expect(body).toBe('falcon');
    expect(changed.split('\r\n')).toEqual([
      `Subject: the ****** ${word('and the ***')} ${word('*** ü')} =?iso-8859-1?Q?of_gr=F6=DFe=21?= ${word('unchanged')} ******`.replace(
        '=?iso-8859-1?Q?of_gr=F6=DFe=21?=',
        word('of *******!'),
      ),
      'X-Note: no number',
      'X-Note: ******************* (mine)',
      'From: a@x',
      'To: b@y',
    ]);
    expect(facts?.changes).toEqual([
      'mail header masked: subject (rule subjects)',
      'mail header masked: x-note (rule cards)',
    ]);
    expect(facts?.subject).toBe(byteText('the ****** and the ****** üof *******!unchanged ******'));
    expect(JSON.stringify(facts)).not.toMatch(/4111 1111|[Ff]alcon/);
    expect(alarms.map(({ match }) => match.rule.id)).toEqual(['subjects', 'cards']);
  });

  it('folds what is long, and leaves a head alone in which nothing is found', () => {
    const long = `falcon ${'word '.repeat(400)}end`;
    const { mail } = sent({ rules: subjects }, `Subject: ${long}\r\nTo: b@y\r\n\r\nx`);
    const lines = mail.split('\r\n');
    expect(Math.max(...lines.map(({ length }) => length))).toBeLessThan(80);
    expect(mail.replaceAll('\r\n ', ' ')).toBe(`Subject: ${long.replace('falcon', '******')}\r\nTo: b@y\r\n\r\nx`);
    const plain = `Subject: ${word('nothing')}\r\nX-Note: none\r\n\r\nx`;
    expect(sent({ rules: subjects }, plain)).toMatchObject({ mail: plain, facts: { changes: [] } });
  });

  it('yields to what is set or removed, and shows it in no record', () => {
    const wishes = { rules: subjects, headers: { remove: ['x-note'], set: [['Subject', 'none'] as const] } };
    const mail = 'Subject: falcon\r\nX-Note: 4111111111111111\r\nTo: b@y\r\n\r\nx';
    const session = sent(wishes, mail);
    expect(session.mail).toBe('Subject: none\r\nTo: b@y\r\n\r\nx');
    expect(JSON.stringify(session.facts)).not.toMatch(/4111|falcon/);
  });

  it('masks in chunks of BDAT', () => {
    const session = open({ rules: subjects });
    const mail = 'To: b@y\r\nSubject: my falcon\r\n\r\nx\r\n';
    session.say(`BDAT ${mail.length} LAST\r\n${mail}`, 10);
    const head = 'Subject: my ******\r\nTo: b@y\r\n';
    expect(session.got()).toBe(`BDAT ${head.length}\r\n${head}BDAT 5 LAST\r\n\r\nx\r\n`);
  });
});

describe('a rule file', () => {
  const problems = (rule: string): string =>
    parseRuleFile(`- { id: a, title: A, ${rule} }\n`, 'r.yaml')
      .problems.map(({ message }) => message)
      .join('\n');
  const body = 'when: { field: mail.part.body, contains: falcon }';

  it.each([
    [`action: setHeader, header: { in: mail, name: X-A, value: b }, ${body}`, /^$/],
    [`action: removeHeader, header: { in: mail, name: X-A }, ${body}`, /^$/],
    [`action: redact, ${body}`, /^$/],
    [`action: setHeader, header: { in: request, name: X-A, value: b }, ${body}`, /goes with rules about mails/],
    [
      'action: setHeader, header: { in: mail, name: X-A, value: b }, when: { field: http.host, hosts: a.b }',
      /goes with/,
    ],
    [`action: setHeader, header: { in: mail, name: Content-Type, value: b }, ${body}`, /how a mail is to be read/],
    [`action: setHeader, header: { in: mail, name: Received, value: b }, ${body}`, /where it came from/],
    [`action: setHeader, header: { in: mail, name: "X_A", value: b }, ${body}`, /not a name/],
    ['action: redact, when: { field: mail.subject, contains: falcon }', /^$/],
    ['action: redact, when: { field: mail.header.x-a, regex: "falc.n" }', /^$/],
    [
      'action: redact, when: { field: mail.subject, prefix: falcon }',
      /one test of a body is needed, or of mail.subject/,
    ],
    [
      'action: redact, when: { field: mail.headers, contains: falcon }',
      /one test of a body is needed, or of mail.subject/,
    ],
    ['action: redact, when: { field: mail.header.from, contains: falcon }', /cannot be changed/],
    [
      'action: redact, when: { all: [{ field: mail.subject, contains: falcon }, { field: mail.size, greaterThan: 1 }] }',
      /known before the parts/,
    ],
    [
      'action: redact, when: { all: [{ field: mail.part.body, contains: falcon }, { field: mail.attachment.name, exists: true }] }',
      /known before the body/,
    ],
  ])('says what of mails can be changed: %s', (rule, expected) => {
    expect(problems(rule)).toMatch(expected);
  });
});
