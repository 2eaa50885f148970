import { describe, expect, it } from 'vitest';
import { openSmtp, play } from './smtp-bench.ts';

const hello = ['S: 220 mx.example ESMTP', 'C: EHLO me', 'S: 250-mx.example', 'S: 250-PIPELINING', 'S: 250 CHUNKING'];
const envelope = ['C: MAIL FROM:<a@x>', 'S: 250 2.1.0 Ok', 'C: RCPT TO:<b@y>', 'S: 250 2.1.5 Ok'];
const said = (lines: readonly string[], side: 'C' | 'S') =>
  lines
    .filter((line) => line.startsWith(side))
    .map((line) => `${line.slice(3)}\r\n`)
    .join('');

const session = [
  ...hello,
  'C: AUTH PLAIN AHVzZXIAc2VjcmV0',
  'S: 235 2.7.0 Ok',
  ...envelope,
  'C: DATA',
  'S: 354 Go',
  'C: Subject: x',
  'C: ',
  'C: ..stuffed',
  'C: .',
  'S: 250 2.0.0 queued as 1',
  'C: MAIL FROM:<> SIZE=10 BODY=8BITMIME',
  'S: 250 Ok',
  'C: RCPT TO:<"odd one"@y> NOTIFY=NEVER',
  'S: 550 5.1.1 no such user',
  'C: RCPT TO:<c@y>',
  'S: 250 Ok',
  'C: BDAT 5',
  'C: abc',
  'S: 250 Ok',
  'C: BDAT 0 LAST',
  'S: 250 2.0.0 queued as 2',
  'C: VRFY postmaster',
  'S: 252 2.0.0 perhaps',
  'C: RSET',
  'S: 250 Ok',
  'C: QUIT',
  'S: 221 2.0.0 Bye',
];

describe('a mail session', () => {
  it.each([1, 2, 3, 7, 1_000])('passes byte for byte, cut into pieces of %i', (piece) => {
    const smtp = openSmtp();
    play(smtp, session, piece);
    expect(smtp.wire.to('origin')).toBe(said(session, 'C'));
    expect(smtp.wire.to('client')).toBe(said(session, 'S'));
    expect(smtp.wire.ending).toBeUndefined();
    expect(smtp.mails).toMatchObject([
      {
        envelope: {
          from: 'a@x',
          to: ['b@y'],
          helo: 'me',
          authMechanism: 'PLAIN',
          authIdentity: 'user',
          protocol: 'smtp',
        },
        content: 'Subject: x\r\n\r\n.stuffed\r\n',
        outcome: { complete: true, reply: { code: 250, text: '2.0.0 queued as 1' }, bytes: 24 },
      },
      {
        envelope: { from: '', to: ['c@y'], accepted: 1, refused: 1 },
        content: 'abc\r\n',
        outcome: { complete: true, reply: { code: 250, text: '2.0.0 queued as 2' } },
      },
    ]);
    smtp.relay.end('origin', true);
    expect(smtp.wire.ending).toBe('close');
  });

  it('passes a pipelined group in one go and tells the replies apart by their order', () => {
    const smtp = openSmtp();
    play(smtp, hello);
    smtp.say('MAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nRCPT TO:<c@y>\r\nDATA\r\n');
    expect(smtp.wire.to('origin')).toMatch(/DATA\r\n$/);
    smtp.answer('250 a\r\n550 b\r\n250 c\r\n354 go\r\n');
    smtp.say('x\r\n.\r\nQUIT\r\n');
    smtp.answer('250 queued\r\n221 bye\r\n');
    expect(smtp.mails).toMatchObject([{ envelope: { to: ['c@y'], refused: 1 }, outcome: { complete: true } }]);
    expect(smtp.wire.to('client')).toMatch(/250 queued\r\n221 bye\r\n$/);
  });

  it.each([1, 4, 1_000])('passes binary content in chunks, whatever stands in it (pieces of %i)', (piece) => {
    for (const judges of [false, true]) {
      const smtp = openSmtp({ judges });
      play(smtp, ['S: 220 mx', 'C: EHLO me', 'S: 250-mx', 'S: 250-BINARYMIME', 'S: 250 CHUNKING']);
      expect(smtp.wire.to('client')).toContain('250-BINARYMIME\r\n250 CHUNKING\r\n');
      play(smtp, ['C: MAIL FROM:<a@x> BODY=BINARYMIME', 'S: 250 Ok', 'C: RCPT TO:<b@y>', 'S: 250 Ok']);
      const chunks = ['Subject: x\r\n\r\n\0\xff\n.\r\n.\r\nMAIL FROM:<c@x>\r', '\n.\n\r\r\n.'];
      const text = chunks.map((chunk, at) => `BDAT ${chunk.length}${at === 1 ? ' LAST' : ''}\r\n${chunk}`).join('');
      for (let at = 0; at < text.length; at += piece) smtp.say(text.slice(at, at + piece));
      smtp.answer('250 one\r\n250 two\r\n');
      expect(smtp.wire.to('origin').endsWith(text)).toBe(true);
      expect(smtp.mails).toMatchObject([{ content: chunks.join(''), outcome: { complete: true } }]);
    }
  });

  it.each([1, 5, 1_000])('passes replies of several lines to every command (pieces of %i)', (piece) => {
    const smtp = openSmtp();
    const replies = [
      'S: 220-mx.example',
      'S: 220 ready',
      'C: EHLO me',
      'S: 250-mx.example',
      'S: 250 SIZE',
      'C: MAIL FROM:<a@x>',
      'S: 250-2.1.0 one',
      'S: 250-2.1.0',
      'S: 250 2.1.0 three',
      'C: RCPT TO:<b@y>',
      'S: 250-2.1.5 one',
      'S: 250 2.1.5 two',
      'C: DATA',
      'S: 354-go',
      'S: 354 on',
      'C: x',
      'C: .',
      'S: 250-2.0.0 taken',
      'S: 250 2.0.0 for good',
      'C: HELP',
      'S: 214-a',
      'S: 214 b',
    ];
    play(smtp, replies, piece);
    expect(smtp.wire.to('client')).toBe(said(replies, 'S'));
    expect(smtp.mails).toMatchObject([{ outcome: { complete: true, reply: { text: '2.0.0 taken' } } }]);
  });

  it('reads commands again when DATA is refused', () => {
    const smtp = openSmtp();
    play(smtp, [...hello, 'C: DATA', 'S: 503 no', 'C: NOOP', 'S: 250 Ok']);
    expect(smtp.wire.to('origin')).toMatch(/DATA\r\nNOOP\r\n$/);
    expect(smtp.mails).toEqual([]);
  });

  it('lets any AUTH exchange pass, line by line, until it ends', () => {
    const smtp = openSmtp();
    const exchange = ['C: AUTH LOGIN', 'S: 334 VXNlcm5hbWU6', 'C: bWU=', 'S: 334 UGFzc3dvcmQ6', 'C: c2VjcmV0'];
    play(smtp, [...hello, ...exchange, 'S: 235 Ok', ...envelope, 'C: DATA', 'S: 354 go', 'C: .', 'S: 250 Ok']);
    expect(smtp.mails[0]?.envelope).toMatchObject({ authMechanism: 'LOGIN', authIdentity: 'me' });
    expect(JSON.stringify(smtp.mails)).not.toContain('c2VjcmV0');
  });

  it('counts an identity only when AUTH succeeded', () => {
    const smtp = openSmtp();
    play(smtp, [...hello, 'C: AUTH PLAIN AGV2aWwAeA==', 'S: 535 no', ...envelope, 'C: DATA', 'S: 354 go', 'C: .']);
    expect(smtp.mails[0]?.envelope).toMatchObject({ authMechanism: undefined, authIdentity: undefined });
  });

  it('answers LMTP for each recipient', () => {
    const smtp = openSmtp();
    play(smtp, ['S: 220 mx LMTP', 'C: LHLO me', 'S: 250 mx', ...envelope, 'C: RCPT TO:<c@y>', 'S: 250 Ok', 'C: DATA']);
    play(smtp, ['S: 354 go', 'C: x', 'C: .', 'S: 250 b', 'S: 452 c', 'C: QUIT', 'S: 221 bye']);
    expect(smtp.mails[0]?.envelope).toMatchObject({ protocol: 'lmtp', accepted: 2 });
    expect(smtp.wire.to('client')).toMatch(/250 b\r\n452 c\r\n221 bye\r\n$/);
  });

  it('removes from the offer what would blind it or cannot work, and refuses it all the same', () => {
    const smtp = openSmtp({ isSecure: true });
    smtp.answer('220 mx\r\n');
    smtp.say('EHLO me\r\n');
    smtp.answer('250-mx\r\n250-SIZE 10\r\n250-BURL imap\r\n250-XCLIENT ADDR\r\n250-STARTTLS\r\n');
    smtp.answer('250 AUTH SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN\r\n');
    expect(smtp.wire.to('client')).toBe('220 mx\r\n250-mx\r\n250-SIZE 10\r\n250 AUTH SCRAM-SHA-256 PLAIN\r\n');
    smtp.say('BURL imap://x LAST\r\nXCLIENT ADDR=1.2.3.4\r\nSTARTTLS\r\nATRN x\r\n');
    expect(smtp.wire.to('origin')).toBe('EHLO me\r\n');
    expect(smtp.wire.to('client').match(/502 5\.5\.1/g)).toHaveLength(4);
  });

  it('never lets an own reply overtake one under way', () => {
    const smtp = openSmtp();
    play(smtp, hello);
    const before = smtp.wire.to('client');
    smtp.say('MAIL FROM:<a@x>\r\nXEXCH50 1 2\r\nRCPT TO:<b@y>\r\n');
    expect(smtp.wire.to('client')).toBe(before);
    smtp.answer('250 mail\r\n250 rcpt\r\n');
    expect(smtp.wire.to('client').slice(before.length)).toMatch(/^250 mail\r\n502 .*\r\n250 rcpt\r\n$/);
  });

  it('pauses a client that is far ahead and goes on', () => {
    const smtp = openSmtp();
    play(smtp, [...hello, ...envelope, 'C: DATA']);
    smtp.say('x'.repeat(70_000));
    expect(smtp.wire.pauses).toEqual([true]);
    smtp.answer('354 go\r\n');
    expect(smtp.wire.pauses).toEqual([true, false]);
    expect(smtp.wire.to('origin')).toContain('xxx');
  });

  it('gives FTP, whose servers greet alike, to whoever relays it', () => {
    const smtp = openSmtp();
    smtp.answer('220 files.example ready\r\n');
    smtp.say('AUTH TLS\r\n');
    expect(smtp.wire.ending).toBe('upgrade AUTH TLS\r\n');
  });

  it.each([
    ['whose greeting says so', '220 mx.example ESMTP ready\r\n', {}],
    ['at a port of mail', '220 mx.example ready\r\n', { isMailPort: true }],
  ])('reads a mail server %s as one, whatever its client says first', (_, greeting, options) => {
    const smtp = openSmtp(options);
    smtp.answer(greeting);
    for (const line of ['USER anna', 'AUTH TLS', 'FEAT']) smtp.say(`${line}\r\n`);
    expect(smtp.wire.ending).toBeUndefined();
  });
});
