import type { Socket } from 'node:net';
import { FlowFailure } from '../core/failures.ts';
import { limits } from '../core/limits.ts';
import { readUntil } from '../net/read-until.ts';

/** A whole reply of SMTP, of one line or several (RFC 5321 section 4.2.1). */
const wholeReply = /^(?:(\d{3})-[^\n]*\n)*(\d{3})(?: [^\n]*)?\r?\n/;

/**
 * Leads a mail server that was dialled anew to where TLS begins: it greets, and each line is said when all before it was
 * answered well. Rejects with FlowFailure.
 */
export async function leadToTls(origin: Socket, lines: readonly Buffer[], deadlineMs: number): Promise<void> {
  const read = () =>
    readUntil(
      origin,
      {
        deadlineMs,
        maximumBytes: limits.smtpReplyBytes,
        onDeadline: 'ORIGIN_IDLE_TIMEOUT',
        onTooLarge: 'ORIGIN_SMTP_MALFORMED',
      },
      (bytes) => {
        const [reply, , code] = wholeReply.exec(bytes.toString('latin1')) ?? [];
        return reply === undefined ? undefined : { value: Number(code), consumed: reply.length };
      },
    );
  for (const line of [undefined, ...lines]) {
    if (line !== undefined) origin.write(line);
    const code = await read();
    if (code >= 300) throw new FlowFailure('ORIGIN_HANDSHAKE_FAILED', `answered ${code} on the way to TLS`);
  }
  if (origin.readableLength > 0)
    throw new FlowFailure('ORIGIN_UPGRADE_INJECTION', 'bytes behind the reply to STARTTLS');
}
