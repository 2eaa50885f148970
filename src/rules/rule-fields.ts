import type { RuleCondition, RuleField } from '../core/rule-document.ts';

/** The fields that a condition asks for. */
export function fieldsOf(when: RuleCondition): readonly RuleField[] {
  if ('all' in when) return when.all.flatMap(fieldsOf);
  if ('any' in when) return when.any.flatMap(fieldsOf);
  return 'not' in when ? fieldsOf(when.not) : [when.field];
}

/** Whether a rule is about WebSocket messages, and not about the exchange that opens one. */
export function asksForMessages(when: RuleCondition): boolean {
  return fieldsOf(when).some((field) => field.startsWith('websocket.'));
}
