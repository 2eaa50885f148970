import type { FailureCode } from '../../core/failures.ts';

/** What the gateway says itself, with enhanced codes (RFC 3463) and the failure code or the rule for whoever reads it. */
export const answers = {
  goOn: '354 Go on',
  chunkTaken: '250 2.0.0 Chunk taken',
  badCommand: '500 5.5.2 Not a command',
  notPassed: '502 5.5.1 The gateway does not pass this command on',
  badOrder: '503 5.5.1 Not in the middle of a mail',
  needsTls: '530 5.7.0 POLICY_TLS_REQUIRED Must issue a STARTTLS command first',
  /** Refused at TLS: the sender keeps the mail and tries again, which is right for a certificate that will be renewed. */
  tlsFailed: (code: FailureCode, detail: string): string => `454 4.7.5 ${code} ${printable(detail)}`,
  closing: (enhanced: string, code: FailureCode, detail: string): string =>
    `421 ${enhanced} ${code} ${printable(detail)}`,
  refused: (reply: string, code: FailureCode, detail: string): string => `${reply} ${code} ${printable(detail)}`,
} as const;

/** Policy is final; trouble of the gateway is not, and the sender tries again. */
export function refusalReply(code: FailureCode): string {
  if (code.startsWith('GATEWAY_')) return '451 4.7.1';
  if (code === 'CLIENT_SMTP_TOO_LARGE') return '552 5.3.4';
  return code === 'POLICY_RULE_BLOCK' ? '550 5.7.1' : '554 5.7.1';
}

/** One line that fits into a reply (512 bytes, RFC 5321 section 4.5.3.1.5), whatever a detail quotes. */
function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '.').slice(0, 400);
}
