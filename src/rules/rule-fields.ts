import type { RuleCondition, RuleField } from '../core/rule-document.ts';

/** The fields that a condition asks for. */
export function fieldsOf(when: RuleCondition): readonly RuleField[] {
  if ('all' in when) return when.all.flatMap(fieldsOf);
  if ('any' in when) return when.any.flatMap(fieldsOf);
  return 'not' in when ? fieldsOf(when.not) : [when.field];
}

/** Whether a field of a mail is known before its first part. */
export function isOfMailHead(field: string): boolean {
  return /^mail\.(?!part\.|attachment\.|size$)/.test(field);
}

/** What a rule is evaluated for. */
export type RuleSubject = 'exchanges' | 'messages' | 'mails' | 'transfers';

/** Whether a rule is about HTTP exchanges, about WebSocket messages and not the exchange that opens one, about mails, or about FTP transfers. */
export function subjectOf(when: RuleCondition): RuleSubject {
  const fields = fieldsOf(when);
  if (fields.some((field) => field.startsWith('mail.'))) return 'mails';
  if (fields.some((field) => field.startsWith('ftp.'))) return 'transfers';
  return fields.some((field) => field.startsWith('websocket.')) ? 'messages' : 'exchanges';
}
