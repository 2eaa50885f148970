import { describe, expect, it } from 'vitest';
import { type FailureCode, FlowFailure, failures } from '../../../src/core/failures.ts';
import { type MailForm, mailForms, mailReply } from '../../../src/core/mail-failures.ts';
import type { Verdict } from '../../../src/core/verdict.ts';
import { answerFailure } from '../../../src/flow/answer-failure.ts';
import type { Flow } from '../../../src/flow/flow.ts';
import { openSmtp, play } from './smtp-bench.ts';

const hello = ['S: 220 mx.example ESMTP', 'C: EHLO me', 'S: 250-mx.example', 'S: 250-STARTTLS', 'S: 250 CHUNKING'];
const envelope = ['C: MAIL FROM:<a@x>', 'S: 250 Ok', 'C: RCPT TO:<b@y>', 'S: 250 Ok'];
type Session = ReturnType<typeof openSmtp>;

function codesOf(form: MailForm): FailureCode[] {
  return (Object.keys(failures) as FailureCode[]).filter((code) => mailForms[code].includes(form));
}

function session(...more: readonly string[]): Session {
  const smtp = openSmtp();
  play(smtp, [...hello, ...more]);
  return smtp;
}

/** A mail on which the verdict is this. */
function judged(verdict: Verdict): Session {
  const smtp = openSmtp({
    inspector: {
      judges: true,
      mail: () => ({
        envelope: () => ({ kind: 'allow' }),
        content: () => ({ kind: 'allow' }),
        end: () => verdict,
        finish: () => {},
      }),
    },
  });
  play(smtp, [...hello, ...envelope, 'C: DATA', 'C: Subject: x', 'C: ', 'C: .']);
  return smtp;
}

const rule = { id: 'no-secrets', title: 'No secrets', rev: 1 };
const refuse = (code: FailureCode) => (): Session => judged({ kind: 'refuse', code, detail: 'x' });

/** How each failure comes up that has one of these forms. */
const scenarios: Readonly<Record<string, () => Session>> = {
  'session CLIENT_IDLE_TIMEOUT': () => {
    const smtp = session(...envelope, 'C: DATA', 'S: 354 go', 'C: x');
    smtp.relay.timedOut?.();
    return smtp;
  },
  'session CLIENT_SMTP_AMBIGUOUS': () => {
    const smtp = session();
    smtp.say('NO\0OP\r\n');
    return smtp;
  },
  'command CLIENT_SMTP_AMBIGUOUS': () => session(...envelope, 'C: BDAT x'),
  'session CLIENT_SMTP_CROSS_PROTOCOL': () => session('C: GET / HTTP/1.1'),
  'session CLIENT_SMTP_TOO_LARGE': () => session(`C: NOOP ${'x'.repeat(13_000)}`),
  'mail CLIENT_SMTP_TOO_LARGE': refuse('CLIENT_SMTP_TOO_LARGE'),
  'session CLIENT_UPGRADE_INJECTION': () => {
    const smtp = session();
    smtp.say('STARTTLS\r\nNOOP\r\n');
    return smtp;
  },
  'session ORIGIN_GONE': () => {
    const smtp = session('C: NOOP');
    smtp.relay.end('origin', true);
    return smtp;
  },
  'session ORIGIN_IDLE_TIMEOUT': () => {
    const smtp = session('C: NOOP');
    smtp.relay.timedOut?.();
    return smtp;
  },
  'session GATEWAY_SHUTTING_DOWN': () => {
    const smtp = session();
    smtp.relay.drain?.();
    return smtp;
  },
  'session ORIGIN_SMTP_MALFORMED': () => session('C: NOOP', 'S: nonsense'),
  'session ORIGIN_SMTP_UNSOLICITED': () => session('S: 250 Ok'),
  'session POLICY_TLS_REQUIRED': () => {
    const smtp = openSmtp({ requireTls: true });
    play(smtp, ['S: 220 mx', 'C: EHLO me', 'S: 250 mx']);
    return smtp;
  },
  'command POLICY_TLS_REQUIRED': () => {
    const smtp = openSmtp({ requireTls: true });
    play(smtp, [...hello, 'C: MAIL FROM:<a@x>']);
    return smtp;
  },
  'mail CLIENT_HOARDING': refuse('CLIENT_HOARDING'),
  'mail GATEWAY_OVERLOADED': refuse('GATEWAY_OVERLOADED'),
  'mail POLICY_RULE_BLOCK': () => judged({ kind: 'block', rule }),
  'mail POLICY_SCANNER_BLOCK': refuse('POLICY_SCANNER_BLOCK'),
  'mail POLICY_UNSCANNABLE': refuse('POLICY_UNSCANNABLE'),
  'mail GATEWAY_SCANNER_FAILED': refuse('GATEWAY_SCANNER_FAILED'),
  'mail GATEWAY_SCANNER_TIMEOUT': refuse('GATEWAY_SCANNER_TIMEOUT'),
  'mail GATEWAY_SCANNER_UNREACHABLE': refuse('GATEWAY_SCANNER_UNREACHABLE'),
  'mail GATEWAY_SPOOL_UNWRITABLE': refuse('GATEWAY_SPOOL_UNWRITABLE'),
};

describe('a failure of the catalogue is told in mail as docs/failures.md says', () => {
  const moments = ['command', 'session', 'mail'] as const;
  const declared = moments.flatMap((moment) => codesOf(moment).map((code) => [moment, code] as const));

  it('in a way that comes up, for each that is told within a session', () => {
    expect(Object.keys(scenarios).sort()).toEqual(declared.map(([moment, code]) => `${moment} ${code}`).sort());
  });

  it.each(declared)('%s: %s', (moment, code) => {
    const { wire } = (scenarios[`${moment} ${code}`] ?? session)();
    const last = wire.to('client').split('\r\n').at(-2) ?? '';
    expect(last.startsWith(`${mailReply(moment, code)} ${code} `)).toBe(true);
    // What a gateway that goes down ends between commands has not failed.
    const ending = code === 'GATEWAY_SHUTTING_DOWN' ? 'close' : `close ${code}`;
    if (moment === 'session') expect(wire.ending).toBe(ending);
    // What the origin has of a mail that is refused is nothing, or taken back.
    if (moment === 'mail') expect(wire.to('origin')).not.toContain('Subject');
  });

  it.each(codesOf('starttls'))('at STARTTLS: %s', (code) => {
    const smtp = session('C: STARTTLS', 'S: 220 Ready');
    smtp.wire.ending = undefined;
    smtp.relay.upgradeFailed?.(code, 'why');
    expect(smtp.wire.to('client').endsWith(`454 4.7.5 ${code} why\r\n`)).toBe(true);
    expect(smtp.wire.ending).toBe(`close ${code}`);
  });

  it.each(codesOf('greeting'))('as greeting: %s', async (code) => {
    let told = '';
    const client = { destroyed: false, writable: true, write: (text: string) => (told += text) };
    await answerFailure(
      { answerLayer: 'greeting', client, facts: {}, listener: { mode: 'explicit' } } as unknown as Flow,
      new FlowFailure(code, 'why'),
    );
    expect(told).toBe(`${code.startsWith('POLICY_') ? '554 5.7.1' : '421 4.4.1'} ${code} why\r\n`);
  });

  it('of every check that an origin can fail', () => {
    const certificates = (Object.keys(failures) as FailureCode[]).filter((code) => code.startsWith('ORIGIN_CERT_'));
    for (const code of certificates) expect(mailForms[code]).toEqual(['starttls', 'warned', 'alert']);
  });
});
