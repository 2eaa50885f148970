import { describe, expect, it } from 'vitest';
import { HeldBudget } from '../../../src/flow/relay/held-budget.ts';
import { HoldShare } from '../../../src/flow/relay/smtp-hold.ts';
import { holdShare } from '../../support/hold-share.ts';
import { openSmtp, play } from './smtp-bench.ts';

const hello = ['S: 220 mx.example ESMTP', 'C: EHLO me', 'S: 250-mx.example', 'S: 250 CHUNKING'];
const envelope = ['C: MAIL FROM:<a@x>', 'S: 250 Ok', 'C: RCPT TO:<b@y>', 'S: 250 Ok'];

describe('a mail that waits for its verdict', () => {
  it('reaches the origin whole when it is allowed', () => {
    const smtp = openSmtp({ judges: true });
    play(smtp, [...hello, ...envelope, 'C: DATA']);
    expect(smtp.wire.to('client')).toMatch(/354 Go on\r\n$/);
    expect(smtp.wire.to('origin')).not.toContain('DATA');
    play(smtp, ['C: Subject: x', 'C: ', 'C: ..dot', 'C: .']);
    expect(smtp.wire.to('origin')).toMatch(/RCPT TO:<b@y>\r\nDATA\r\n$/);
    smtp.answer('354 go\r\n');
    expect(smtp.wire.to('origin')).toMatch(/DATA\r\nSubject: x\r\n\r\n\.\.dot\r\n\.\r\n$/);
    play(smtp, ['S: 250 queued', 'C: QUIT', 'S: 221 bye']);
    expect(smtp.wire.to('client')).toMatch(/354 Go on\r\n250 queued\r\n221 bye\r\n$/);
    expect(smtp.mails[0]?.outcome).toMatchObject({ complete: true, reply: { code: 250 } });
  });

  it.each([1, 5, 1_000])(
    'never reaches the origin when it is blocked, and the session goes on (pieces of %i)',
    (piece) => {
      const smtp = openSmtp({ judges: true });
      const blocked = [...hello, ...envelope, 'C: DATA', 'C: a SECRET word', 'C: .', 'S: 250 reset'];
      play(smtp, [...blocked, ...envelope, 'C: DATA', 'C: fine', 'C: .', 'S: 354 go', 'S: 250 queued'], piece);
      expect(smtp.wire.to('origin')).not.toContain('SECRET');
      expect(smtp.wire.to('origin')).toMatch(/RSET\r\nMAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nDATA\r\nfine\r\n\.\r\n$/);
      expect(smtp.wire.to('client')).toMatch(/354 Go on\r\n550 5\.7\.1 POLICY_RULE_BLOCK no-secrets\r\n250 Ok/);
      expect(smtp.wire.to('client')).not.toContain('reset');
      expect(smtp.mails).toMatchObject([
        { outcome: { complete: true, failure: 'POLICY_RULE_BLOCK', reply: undefined } },
        { outcome: { complete: true, failure: undefined, reply: { code: 250 } } },
      ]);
      expect(smtp.wire.ending).toBeUndefined();
    },
  );

  it('is blocked by its envelope before its data is asked for', () => {
    const smtp = openSmtp({ judges: true });
    play(smtp, [
      ...hello,
      'C: MAIL FROM:<evil@x>',
      'S: 250 Ok',
      'C: RCPT TO:<b@y>',
      'S: 250 Ok',
      'C: DATA',
      'S: 250 reset',
    ]);
    expect(smtp.wire.to('client')).toMatch(/550 5\.7\.1 POLICY_RULE_BLOCK no-secrets\r\n$/);
    expect(smtp.wire.to('origin')).toMatch(/RCPT TO:<b@y>\r\nRSET\r\n$/);
  });

  it.each([1, 1_000])('in chunks passes as the client sent it, or not at all (pieces of %i)', (piece) => {
    const smtp = openSmtp({ judges: true });
    play(smtp, [...hello, ...envelope]);
    const say = (text: string) => {
      for (let at = 0; at < text.length; at += piece) smtp.say(text.slice(at, at + piece));
    };
    say('BDAT 5\r\nab\r\nc');
    expect(smtp.wire.to('client')).toMatch(/250 2\.0\.0 Chunk taken\r\n$/);
    say('BDAT 3 LAST\r\nxyz');
    expect(smtp.wire.to('origin')).toMatch(/BDAT 5\r\nab\r\ncBDAT 3 LAST\r\nxyz$/);
    smtp.answer('250 chunk\r\n250 queued\r\n');
    expect(smtp.wire.to('client')).toMatch(/Chunk taken\r\n250 queued\r\n$/);
    play(smtp, envelope);
    say('BDAT 3\r\nSECBDAT 3 LAST\r\nRET');
    expect(smtp.wire.to('origin')).toMatch(/RCPT TO:<b@y>\r\nRSET\r\n$/);
    smtp.answer('250 reset\r\n');
    expect(smtp.wire.to('client')).toMatch(/550 5\.7\.1 [^\r\n]*\r\n$/);
  });

  it.each([1_000, 11_000])('that is longer than the limit goes on as it comes (pieces of %i)', (piece) => {
    const smtp = openSmtp({ judges: true });
    play(smtp, [...hello, ...envelope, 'C: DATA']);
    const text = `${'x'.repeat(30_000)}\r\n.\r\n`;
    smtp.say(text.slice(0, 11_000));
    expect(smtp.wire.to('origin')).toMatch(/DATA\r\n$/);
    smtp.answer('354 go\r\n');
    expect(smtp.wire.to('origin').endsWith('x'.repeat(11_000))).toBe(true);
    for (let at = 11_000; at < text.length; at += piece) smtp.say(text.slice(at, at + piece));
    smtp.answer('250 queued\r\n');
    expect(smtp.wire.to('origin').endsWith(`DATA\r\n${text}`)).toBe(true);
    expect(smtp.wire.to('client')).toMatch(/354 Go on\r\n250 queued\r\n$/);
  });

  it('and is blocked after that never ends at the origin', () => {
    const smtp = openSmtp({ judges: true });
    play(smtp, [...hello, ...envelope, 'C: DATA']);
    smtp.say('x'.repeat(11_000));
    smtp.answer('354 go\r\n');
    smtp.say('SECRET\r\n.\r\n');
    expect(smtp.wire.to('origin')).not.toContain('SECRET');
    expect(smtp.wire.to('origin')).toMatch(/x$/);
    expect(smtp.wire.to('client')).toMatch(/550 5\.7\.1 [^\r\n]*\r\n$/);
    expect(smtp.wire.ending).toBe('close POLICY_RULE_BLOCK');
  });

  it('and is refused by the origin is answered with what the origin said', () => {
    const smtp = openSmtp({ judges: true });
    play(smtp, [...hello, ...envelope, 'C: DATA', 'C: x', 'C: .', 'S: 451 4.3.0 not now', 'C: NOOP', 'S: 250 Ok']);
    expect(smtp.wire.to('client')).toMatch(/354 Go on\r\n451 4\.3\.0 not now\r\n250 Ok\r\n$/);
    expect(smtp.mails[0]?.outcome).toMatchObject({ reply: { code: 451 } });
    const long = openSmtp({ judges: true });
    play(long, [...hello, ...envelope, 'C: DATA', `C: ${'x'.repeat(11_000)}`, 'S: 452 4.3.1 full', 'C: more', 'C: .']);
    expect(long.wire.to('client')).toMatch(/354 Go on\r\n452 4\.3\.1 full\r\n$/);
  });

  it('resets the flow when a rule says so', () => {
    const smtp = openSmtp({ judges: true });
    play(smtp, [...hello, ...envelope, 'C: DATA', 'C: POISON', 'C: .']);
    expect(smtp.wire.ending).toBe('abort POLICY_RULE_RESET');
  });

  it('blocks in LMTP for each recipient', () => {
    const smtp = openSmtp({ judges: true });
    play(smtp, ['S: 220 mx', 'C: LHLO me', 'S: 250 mx', ...envelope, 'C: RCPT TO:<c@y>', 'S: 250 Ok', 'C: DATA']);
    play(smtp, ['C: SECRET', 'C: .', 'S: 250 reset']);
    expect(smtp.wire.to('client').match(/550 5\.7\.1/g)).toHaveLength(2);
  });

  it('shares its memory with others and gives it back', () => {
    const budget = holdShare(2_000);
    const first = openSmtp({ judges: true, budget });
    play(first, [...hello, ...envelope, 'C: DATA', `C: ${'x'.repeat(1_500)}`]);
    const second = openSmtp({ judges: true, budget });
    play(second, [...hello, ...envelope, 'C: DATA', `C: ${'x'.repeat(1_500)}`]);
    expect(first.wire.to('origin')).not.toContain('DATA');
    expect(second.wire.to('origin')).toContain('DATA');
    first.relay.cut('GATEWAY_SHUTTING_DOWN', '');
    second.relay.cut('GATEWAY_SHUTTING_DOWN', '');
    expect(budget.take(2_000)).toBe(true);
  });

  it('has a share of it for each client, beyond which the mails of that one alone go on as they come', () => {
    const all = new HeldBudget();
    const send = (client: string) => {
      const budget = new HoldShare(all, client, { bytes: 8_000, clientBytes: 3_000 });
      const smtp = openSmtp({ judges: true, budget });
      play(smtp, [...hello, ...envelope, 'C: DATA', `C: ${'x'.repeat(1_000)}`]);
      return { ...smtp, isHeld: !smtp.wire.to('origin').includes('DATA') };
    };
    const mails = ['192.0.2.1', '192.0.2.1', '192.0.2.1', '192.0.2.2'].map(send);
    expect(mails.map(({ isHeld }) => isHeld)).toEqual([true, true, false, true]);
    for (const { relay } of mails) relay.cut('GATEWAY_SHUTTING_DOWN', '');
    expect(['192.0.2.1', '192.0.2.1', '192.0.2.2'].map((client) => send(client).isHeld)).toEqual([true, true, true]);
  });
});
