import { describe, expect, it } from 'vitest';
import { limits } from '../../../src/core/limits.ts';
import { openSmtp, play } from './smtp-bench.ts';

const hello = ['S: 220 mx.example ESMTP', 'C: EHLO me', 'S: 250-mx.example', 'S: 250-STARTTLS', 'S: 250 CHUNKING'];
const envelope = ['C: MAIL FROM:<a@x>', 'S: 250 Ok', 'C: RCPT TO:<b@y>', 'S: 250 Ok'];
const inData = [...hello, ...envelope, 'C: DATA', 'S: 354 go', 'C: Subject: x', 'C: '];

describe('the end of a mail', () => {
  const forms = [
    ['\\n.\\n', 'x\n.\n'],
    ['\\n.\\r', 'x\n.\rx'],
    ['\\r.\\n', 'x\r.\n'],
    ['\\r.\\r', 'x\r.\rx'],
    ['\\n.\\r\\n', 'x\n.\r\n'],
    ['\\r.\\r\\n', 'x\r.\r\n'],
    ['\\r\\n.\\n', 'x\r\n.\n'],
    ['\\r\\n.\\r', 'x\r\n.\rx'],
    ['\\r\\n\\0.\\r\\n', 'x\r\n\0.\r\n'],
    ['\\r\\n.\\0\\r\\n', 'x\r\n.\0\r\n'],
    ['\\r\\n.\\r\\r\\n', 'x\r\n.\r\r\n'],
    ['\\r\\r\\n.\\r\\r\\n', 'x\r\r\n.\r\r\n'],
  ] as const;

  it.each(
    forms.flatMap(([name, form]) =>
      [false, true].flatMap((judges) => [1, 2, 100].map((piece) => [name, form, judges, piece] as const)),
    ),
  )('%s is refused and not passed on (%#)', (_name, form, judges, piece) => {
    const smtp = openSmtp({ judges });
    // A mail that waits for its verdict is answered by the relay.
    play(smtp, judges ? inData.filter((line) => line !== 'S: 354 go') : inData);
    const text = `${form}MAIL FROM:<evil@x>\r\nRCPT TO:<b@y>\r\nDATA\r\nsmuggled\r\n.\r\n`;
    for (let at = 0; at < text.length; at += piece) smtp.say(text.slice(at, at + piece));
    expect(smtp.wire.ending).toBe('close CLIENT_SMTP_AMBIGUOUS');
    expect(smtp.wire.to('origin')).not.toContain('evil@x');
    expect(smtp.wire.to('client')).toMatch(/521 5\.5\.2 CLIENT_SMTP_AMBIGUOUS [^\r\n]*\r\n$/);
    expect(smtp.mails).toHaveLength(1);
    expect(smtp.mails[0]?.outcome).toMatchObject({ complete: false, failure: 'CLIENT_SMTP_AMBIGUOUS' });
  });

  it.each(['.x', '..', '...', 'a.b', ' .', '.\t'])('is not the line %j', (line) => {
    const smtp = openSmtp();
    play(smtp, [...inData, `C: ${line}`, 'C: more', 'C: .', 'S: 250 Ok']);
    expect(smtp.mails[0]?.outcome).toMatchObject({ complete: true });
    expect(smtp.wire.to('origin')).toMatch(/more\r\n\.\r\n$/);
  });

  it('passes bare line ends without a dot byte for byte', () => {
    const smtp = openSmtp();
    play(smtp, inData);
    smtp.say('a\nb\rc\r\n.\r\n');
    expect(smtp.wire.to('origin')).toMatch(/a\nb\rc\r\n\.\r\n$/);
  });
});

describe('what is spoken out of turn', () => {
  it.each(['NOOP\nQUIT\r\n', 'MAIL FROM:<a@x>\rRCPT TO:<b@y>\r\n', 'NO\0OP\r\n', 'NOOP\n'])(
    'ends the session: %j',
    (line) => {
      const smtp = openSmtp();
      play(smtp, hello);
      smtp.say(line);
      expect(smtp.wire.ending).toBe('close CLIENT_SMTP_AMBIGUOUS');
      expect(smtp.wire.to('origin')).toBe('EHLO me\r\n');
    },
  );

  it.each(['GET / HTTP/1.1', 'POST /x HTTP/1.0', 'Host: mx.example', 'user-agent: x'])('is HTTP: %s', (line) => {
    const smtp = openSmtp();
    play(smtp, ['S: 220 mx', `C: ${line}`]);
    expect(smtp.wire.ending).toBe('close CLIENT_SMTP_CROSS_PROTOCOL');
    expect(smtp.wire.to('origin')).toBe('');
    expect(smtp.wire.to('client')).toContain('421 4.7.0 CLIENT_SMTP_CROSS_PROTOCOL');
  });

  it.each([
    ['a second greeting', '220 mx\r\n', 'ORIGIN_SMTP_UNSOLICITED'],
    ['a goodbye', '421 4.3.2 going down\r\n', 'ORIGIN_GONE'],
    ['no reply', 'hello\r\n', 'ORIGIN_SMTP_MALFORMED'],
    ['a bare line feed', '250 x\n', 'ORIGIN_SMTP_MALFORMED'],
    ['codes that differ', '250-x\r\n251 y\r\n', 'ORIGIN_SMTP_MALFORMED'],
    ['a reply without end', `250-${'x'.repeat(limits.smtpReplyLineBytes)}`, 'ORIGIN_SMTP_MALFORMED'],
    ['a reply of lines without end', '250-x\r\n'.repeat(12_000), 'ORIGIN_SMTP_MALFORMED'],
  ])('of the origin: %s', (_what, reply, code) => {
    const smtp = openSmtp();
    smtp.answer('220 mx\r\n');
    smtp.answer(reply);
    expect(smtp.wire.ending).toBe(`close ${code}`);
    expect(smtp.wire.to('client')).toMatch(/^220 mx\r\n421 4\.(?:3\.0|4\.2) /);
  });

  it('a line without end is refused', () => {
    const smtp = openSmtp();
    play(smtp, hello);
    smtp.say('NOOP '.padEnd(12_300, 'x'));
    expect(smtp.wire.ending).toBe('close CLIENT_SMTP_TOO_LARGE');
  });

  it.each(['BDAT x', 'BDAT 10 LAST please', 'BDAT', 'BDAT -1', 'BDAT 1e3'])(
    '%s ends the session, since nobody knows what follows',
    (line) => {
      const smtp = openSmtp();
      play(smtp, [...hello, ...envelope, `C: ${line}`]);
      expect(smtp.wire.ending).toBe('close CLIENT_SMTP_AMBIGUOUS');
      expect(smtp.wire.to('origin')).not.toContain('BDAT');
    },
  );

  it('BDAT to a server that does not know it would make commands of its octets', () => {
    const smtp = openSmtp();
    play(smtp, ['S: 220 mx', 'C: EHLO me', 'S: 250 mx', ...envelope]);
    smtp.say('BDAT 6 LAST\r\nRSET\r\n');
    expect(smtp.wire.ending).toBe('close CLIENT_SMTP_AMBIGUOUS');
    expect(smtp.wire.to('origin')).not.toContain('RSET');
  });
});

describe('STARTTLS', () => {
  it('hands the upgrade over, with the name that the origin gave itself, and answers nothing before', () => {
    const smtp = openSmtp();
    play(smtp, [...hello, 'C: STARTTLS']);
    const before = smtp.wire.to('client');
    smtp.answer('220 2.0.0 Ready\r\n');
    expect(smtp.wire.ending).toBe('upgrade tls');
    expect(smtp.wire.to('client')).toBe(before);
    expect(smtp.wire.upgrades).toMatchObject([{ kind: 'tls', originName: 'mx.example' }]);
    expect(String((smtp.wire.upgrades[0] as { accept: Buffer }).accept)).toBe('220 2.0.0 Ready\r\n');
  });

  it('forgets afterwards what was said before', () => {
    const smtp = openSmtp();
    play(smtp, [...hello, 'C: AUTH PLAIN AHVzZXIAc2VjcmV0', 'S: 235 Ok', 'C: STARTTLS', 'S: 220 Ready']);
    smtp.wire.ending = undefined;
    smtp.relay.upgraded?.();
    expect(smtp.wire.pauses.at(-1)).toBe(false);
    smtp.say('BDAT 3 LAST\r\nabc');
    expect(smtp.wire.ending).toBe('close CLIENT_SMTP_AMBIGUOUS');
    const other = openSmtp();
    play(other, [...hello, 'C: AUTH PLAIN AHVzZXIAc2VjcmV0', 'S: 235 Ok', 'C: STARTTLS', 'S: 220 Ready']);
    other.wire.ending = undefined;
    other.relay.upgraded?.();
    play(other, [
      'C: EHLO me',
      'S: 250-mx',
      'S: 250 STARTTLS',
      ...envelope,
      'C: DATA',
      'S: 354 go',
      'C: .',
      'S: 250 Ok',
    ]);
    expect(other.mails[0]?.envelope?.authIdentity).toBeUndefined();
    expect(other.wire.to('client')).toContain('250 mx\r\n');
  });

  it('says why when the origin failed its check, and goes no further', () => {
    const smtp = openSmtp();
    play(smtp, [...hello, 'C: STARTTLS', 'S: 220 Ready']);
    smtp.wire.ending = undefined;
    smtp.relay.upgradeFailed?.('ORIGIN_CERT_EXPIRED', 'since 2026-01-01');
    expect(smtp.wire.to('client')).toMatch(/454 4\.7\.5 ORIGIN_CERT_EXPIRED since 2026-01-01\r\n$/);
    expect(smtp.wire.ending).toBe('close ORIGIN_CERT_EXPIRED');
    smtp.say('MAIL FROM:<a@x>\r\n');
    expect(smtp.wire.to('origin')).not.toContain('MAIL');
  });

  it.each(['STARTTLS\r\nMAIL FROM:<evil@x>\r\n', 'STARTTLS\r\nx'])(
    'with bytes behind it ends the session: %j',
    (text) => {
      const smtp = openSmtp();
      play(smtp, hello);
      smtp.say(text);
      expect(smtp.wire.ending).toBe('close CLIENT_UPGRADE_INJECTION');
      expect(smtp.wire.to('origin')).toBe('EHLO me\r\n');
      expect(smtp.wire.to('client')).toContain('554 5.7.0 CLIENT_UPGRADE_INJECTION');
    },
  );

  it.each(['220 Ready\r\n250 injected\r\n', '220 Ready\r\n2'])(
    'with bytes behind its consent ends the session: %j',
    (text) => {
      const smtp = openSmtp();
      play(smtp, [...hello, 'C: STARTTLS']);
      smtp.answer(text);
      expect(smtp.wire.ending).toBe('close ORIGIN_UPGRADE_INJECTION');
      expect(smtp.wire.to('client')).toMatch(/454 4\.7\.5 ORIGIN_UPGRADE_INJECTION/);
      expect(smtp.wire.to('client')).not.toContain('injected');
    },
  );

  it.each(['250', '354', '421', '454', '500', '502', '503', '504', '530', '550', '554'])(
    'that is answered %s goes on in plaintext, as the client and policy allow',
    (code) => {
      const smtp = openSmtp();
      play(smtp, [...hello, 'C: STARTTLS', `S: ${code} odd`, 'C: NOOP']);
      expect(smtp.wire.upgrades).toEqual([]);
      expect(smtp.wire.to('origin')).toMatch(/STARTTLS\r\nNOOP\r\n$/);
    },
  );
});

describe('where policy demands TLS', () => {
  it('nothing but the way to it passes in plaintext', () => {
    const smtp = openSmtp({ requireTls: true });
    play(smtp, [...hello, 'C: MAIL FROM:<a@x>', 'C: AUTH PLAIN x', 'C: VRFY x', 'C: NOOP', 'S: 250 Ok']);
    expect(smtp.wire.to('origin')).toBe('EHLO me\r\nNOOP\r\n');
    expect(smtp.wire.to('client').match(/530 5\.7\.0/g)).toHaveLength(3);
  });

  it('an origin that offers none ends the session', () => {
    const smtp = openSmtp({ requireTls: true });
    play(smtp, ['S: 220 mx', 'C: EHLO me', 'S: 250 mx']);
    expect(smtp.wire.to('client')).toMatch(/421 4\.7\.4 POLICY_TLS_REQUIRED/);
    expect(smtp.wire.ending).toBe('close POLICY_TLS_REQUIRED');
  });
});
