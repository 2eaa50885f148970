import type { Wire } from '../../core/relay.ts';
import { answers } from './smtp-answers.ts';
import type { Conversation } from './smtp-conversation.ts';
import type { SmtpTransfer } from './smtp-transfer.ts';

const noBytes: Buffer = Buffer.alloc(0);

/** Answers for the end of a mail that is not passed on; false when the session ends with it. `replies` are those of LMTP. */
export function refuseMail(transfer: SmtpTransfer, talk: Conversation, wire: Wire, replies: number): boolean {
  const { verdict, refusal } = transfer;
  if (verdict.kind === 'allow') {
    refusedByOrigin(transfer, wire, refusal ?? noBytes, replies);
    return true;
  }
  if (verdict.kind === 'reset') {
    const { id } = verdict.rule;
    transfer.finish({ complete: false, reply: undefined, failure: 'POLICY_RULE_RESET', detail: id });
    wire.abort('POLICY_RULE_RESET', id);
    return false;
  }
  const code = verdict.kind === 'block' ? 'POLICY_RULE_BLOCK' : verdict.code;
  const detail = verdict.kind === 'block' ? verdict.rule.id : verdict.detail;
  const answer = answers.failed('mail', code, detail);
  transfer.finish({ complete: true, reply: undefined, failure: code, detail });
  if (transfer.isPassed) {
    // The origin has a part of it and is never told of an end: without its connection it forgets the mail.
    talk.endNow(answer, code, detail);
    return false;
  }
  for (let index = 0; index < (transfer.hasEnded ? replies : 1); index += 1) talk.own(answer);
  talk.command(Buffer.from('RSET\r\n'), { kind: 'reset', isSilent: true });
  return true;
}

function refusedByOrigin(transfer: SmtpTransfer, wire: Wire, raw: Buffer, replies: number): void {
  for (let index = 0; index < replies; index += 1) wire.send('client', raw);
  const text = raw.toString('latin1', 4).split('\r\n')[0] ?? '';
  transfer.finish({ complete: true, reply: { code: Number(raw.toString('latin1', 0, 3)), text } });
}
