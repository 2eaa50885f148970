import type { FieldTest, RuleCondition, RuleDocument } from '../core/rule-document.ts';
import { fieldKind } from './field.ts';
import { compileSpans, type Span } from './head-test.ts';

/** What a redact rule masks in the head of a mail. */
export interface HeadRedaction {
  readonly ruleId: string;
  /** Of the field, lower case. */
  readonly name: string;
  readonly find: (text: string) => Iterable<Span>;
}

/**
 * The test of a redact rule whose findings are masked: the one of a body, and without one the only test of a field of a mail's head
 * that says what stands in it. Undefined when there is none, or more than one.
 */
export function maskedTest(when: RuleCondition): FieldTest | undefined {
  const parts = 'all' in when ? when.all : [when];
  const tests = parts.filter((part): part is FieldTest => 'field' in part);
  const bodies = tests.filter(({ field }) => fieldKind(field) === 'body');
  const masked =
    bodies.length > 0 ? bodies : tests.filter((test) => isFinding(test) && maskedHeader(test) !== undefined);
  return masked.length === 1 ? masked[0] : undefined;
}

/** Whether a test says where in the value it is true. */
export function isFinding({ contains, regex, detector, count = 1 }: FieldTest): boolean {
  return (contains ?? regex ?? detector) !== undefined && count === 1;
}

/** The field of a mail's head that a test looks at alone, lower case. */
export function maskedHeader({ field }: FieldTest): string | undefined {
  if (field === 'mail.subject') return 'subject';
  return field.startsWith('mail.header.') ? field.slice('mail.header.'.length).toLowerCase() : undefined;
}

/** Compiles what redact rules mask in heads, by the id of the rule. */
export function planHeadRedactions(documents: readonly RuleDocument[]): ReadonlyMap<string, HeadRedaction> {
  const plan = new Map<string, HeadRedaction>();
  for (const { id, action, when } of documents) {
    const test = action === 'redact' ? maskedTest(when) : undefined;
    const name = test === undefined ? undefined : maskedHeader(test);
    if (test !== undefined && name !== undefined)
      plan.set(id, { ruleId: id, name, find: compileSpans(test, 'longest') });
  }
  return plan;
}
