import type { Mail, MailEnvelope, MailInspector, MailOutcome } from '../../../src/core/mail.ts';
import { allow, type Verdict } from '../../../src/core/verdict.ts';
import { createSmtpRelay } from '../../../src/flow/relay/smtp.ts';
import type { HoldShare } from '../../../src/flow/relay/smtp-hold.ts';
import type { SmtpOptions } from '../../../src/flow/relay/smtp-options.ts';
import { holdShare } from '../../support/hold-share.ts';
import { RecordingWire } from './recording.ts';

/** What was seen of a mail. */
export interface SeenMail {
  envelope: MailEnvelope | undefined;
  content: string;
  outcome: MailOutcome | undefined;
}

const rule = { id: 'no-secrets', title: 'No secrets', rev: 1 };

/** Blocks a mail when its content holds `SECRET`, or resets on `POISON`. */
function blockingMail(seen: SeenMail, judges: boolean): Mail {
  const verdict = (): Verdict => {
    if (!judges) return allow;
    if (seen.content.includes('POISON')) return { kind: 'reset', rule };
    return seen.content.includes('SECRET') ? { kind: 'block', rule } : allow;
  };
  return {
    envelope(envelope) {
      seen.envelope = { ...envelope, to: [...envelope.to] };
      return judges && envelope.from === 'evil@x' ? { kind: 'block', rule } : allow;
    },
    content(chunk) {
      seen.content += chunk.toString('latin1');
      return verdict();
    },
    end: verdict,
    finish(outcome) {
      if (seen.outcome !== undefined) throw new Error('finished twice');
      seen.outcome = outcome;
    },
  };
}

/** A mail relay with its wire, and the mails that its inspector saw. */
export function openSmtp(wishes: Partial<SmtpOptions> & { judges?: boolean; budget?: HoldShare } = {}) {
  const { budget = holdShare(1_000_000), judges = false, ...others } = wishes;
  const wire = new RecordingWire();
  const mails: SeenMail[] = [];
  const inspector: MailInspector = {
    judges,
    mail: () => {
      const seen: SeenMail = { envelope: undefined, content: '', outcome: undefined };
      mails.push(seen);
      return blockingMail(seen, judges);
    },
  };
  const relay = createSmtpRelay({
    wire,
    inspector,
    hold: { budget, holdBytes: 10_000, spool: undefined },
    canUpgrade: true,
    requireTls: false,
    isSecure: false,
    xclient: false,
    isMailPort: false,
    notMail: (bytes) => wire.upgrade({ kind: 'opaque', protocol: String(bytes) }),
    spoken: () => {},
    ...others,
  });
  const say = (text: string) => relay.receive('client', Buffer.from(text, 'latin1'));
  const answer = (text: string) => relay.receive('origin', Buffer.from(text, 'latin1'));
  return { wire, relay, mails, say, answer };
}

/** A line of a transcript: `C: ` the client says, `S: ` the origin says, `c: ` the client gets, `s: ` the origin gets. */
export type Transcript = readonly string[];

/**
 * Plays what both sides say and returns what each has got. `piece` cuts what is said into pieces of that size. A side's
 * lines are said only after all before them in the transcript.
 */
export function play(
  smtp: ReturnType<typeof openSmtp>,
  transcript: Transcript,
  piece = Number.POSITIVE_INFINITY,
): void {
  for (const line of transcript) {
    const text = `${line.slice(3)}\r\n`;
    const speak = line.startsWith('C: ') ? smtp.say : smtp.answer;
    for (let at = 0; at < text.length; at += piece) speak(text.slice(at, at + piece));
  }
}
