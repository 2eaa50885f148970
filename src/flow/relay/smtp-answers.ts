import type { FailureCode } from '../../core/failures.ts';
import { type MailMoment, mailReply } from '../../core/mail-failures.ts';

/** What the gateway says itself, with enhanced codes (RFC 3463) and the failure code or the rule for whoever reads it. */
export const answers = {
  goOn: '354 Go on',
  chunkTaken: '250 2.0.0 Chunk taken',
  badCommand: '500 5.5.2 Not a command',
  notPassed: '502 5.5.1 The gateway does not pass this command on',
  badOrder: '503 5.5.1 Not in the middle of a mail',
  needsTls: `${mailReply('command', 'POLICY_TLS_REQUIRED')} POLICY_TLS_REQUIRED Must issue a STARTTLS command first`,
  /** A failure of the catalogue as it is told at some moment. */
  failed: (moment: MailMoment, code: FailureCode, detail: string): string =>
    `${mailReply(moment, code)} ${code} ${printable(detail)}`,
} as const;

/** One line that fits into a reply (512 bytes, RFC 5321 section 4.5.3.1.5), whatever a detail quotes. */
function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '.').slice(0, 400);
}
