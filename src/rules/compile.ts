import type { FieldTest, RuleDocument } from '../core/rule-document.ts';
import type { Match, RuleRef } from '../core/verdict.ts';
import { type ApartFields, planApartFields } from './apart-fields.ts';
import { type BodyPlan, planBody } from './body-plan.ts';
import { type Condition, compileCondition, unknown } from './condition.ts';
import { type FieldReader, fieldReader, foundFieldOf, type TransactionContext } from './field.ts';
import { type FoundFields, planFoundFields } from './found-fields.ts';
import { type HeadRedaction, planHeadRedactions } from './head-redaction.ts';
import { compileHeadTest, type HeadTest } from './head-test.ts';
import { planRedaction, type RedactionPlan } from './redaction.ts';
import { type RuleSubject, subjectOf } from './rule-fields.ts';
import { stages } from './stages.ts';
import { bodylessState, type StartState } from './start-state.ts';
import { TransactionScan } from './transaction-scan.ts';

/** The field that a rule sets or removes. */
export type RuleHeader = NonNullable<RuleDocument['header']>;

export type { TransactionContext } from './field.ts';
export type { HeadRedaction } from './head-redaction.ts';
export type { TransactionScan } from './transaction-scan.ts';

/** A rule ready to run. */
export interface CompiledRule {
  readonly ref: RuleRef;
  /** What is the same in every match of the rule. */
  readonly match: Pick<Match, 'rule' | 'action' | 'severity' | 'tags'>;
  readonly hold: RuleDocument['hold'];
  readonly condition: Condition;
  readonly leaves: readonly number[];
  /** What its leaves ask for, as bits of `stages`: news of anything else cannot decide it. */
  readonly asks: number;
}

/** A test of a rule. Tests of bodies and of what is found in them have no reader; plans of their own hold them. */
export interface Leaf {
  readonly field: string;
  readonly body: 'request' | 'response' | undefined;
  readonly head: { readonly reader: FieldReader; readonly test: HeadTest } | undefined;
}

/** The rules of a policy, compiled once and shared by all transactions. */
export class CompiledRules {
  readonly rules: readonly CompiledRule[];
  readonly leaves: readonly Leaf[];
  readonly requestBody: BodyPlan;
  readonly responseBody: BodyPlan;
  /** The rules that ask for WebSocket messages, each message being to them the body of its request; undefined when none does. */
  readonly messages: CompiledRules | undefined;
  /** The rules that ask for mails, the parts of each mail being to them the body of its request; undefined when none does. */
  readonly mails: CompiledRules | undefined;
  /** The rules that ask for FTP transfers, the bytes of each being to them the body of its request; undefined when none does. */
  readonly transfers: CompiledRules | undefined;
  readonly found: FoundFields;
  readonly apart: Readonly<Record<'request' | 'response', ApartFields>>;
  /** Where the evaluation of a transaction begins. */
  readonly start: StartState;
  /** The same for a request without a body, the most of them: what that alone decides is decided. Undefined where a rule holds by it. */
  readonly bodyless: StartState | undefined;
  /** Rules that ask for bodies to be held. */
  readonly holds: boolean;
  readonly redaction: Readonly<Record<'request' | 'response', RedactionPlan | undefined>>;
  /** By id: the field that a rule sets or removes. */
  readonly headers: ReadonlyMap<string, RuleHeader>;
  /** By id: what a rule masks in the heads of mails. */
  readonly headRedactions: ReadonlyMap<string, HeadRedaction>;

  constructor(documents: readonly RuleDocument[], subject: RuleSubject = 'exchanges') {
    const tests: FieldTest[] = [];
    const own = documents.filter(({ when }) => subjectOf(when) === subject);
    const of = (other: RuleSubject) =>
      subject === 'exchanges' && documents.some(({ when }) => subjectOf(when) === other)
        ? new CompiledRules(documents, other)
        : undefined;
    this.messages = of('messages');
    this.mails = of('mails');
    this.transfers = of('transfers');
    const conditions = own.map((document) => compileRule(document, tests));
    this.leaves = tests.map(compileLeaf);
    this.rules = conditions.map((rule) => ({ ...rule, asks: asksOf(rule.leaves, this.leaves) }));
    this.requestBody = planBody(testsOf(tests, requestBodyOf[subject]));
    this.responseBody = planBody(testsOf(tests, 'http.response.body'));
    this.found = planFoundFields(tests);
    this.apart = {
      request: planApartFields(tests, 'request', this.rules),
      response: planApartFields(tests, 'response', this.rules),
    };
    this.start = { truths: this.leaves.map(() => unknown), open: this.rules };
    this.bodyless = bodylessState(this.start, this.requestBody);
    this.holds = own.some((document) => document.hold !== undefined);
    this.redaction = {
      request: planRedaction(redactTests(this.rules, tests, requestBodyOf[subject])),
      response: planRedaction(redactTests(this.rules, tests, 'http.response.body')),
    };
    this.headers = new Map(own.flatMap(({ id, header }) => (header === undefined ? [] : [[id, header]])));
    this.headRedactions = planHeadRedactions(own);
  }

  /** Begins the evaluation of one HTTP exchange. */
  begin(context: TransactionContext): TransactionScan {
    return new TransactionScan(this, context);
  }
}

/** What stands for the body of a request. */
const requestBodyOf = {
  exchanges: 'http.request.body',
  messages: 'websocket.message',
  mails: 'mail.part.body',
  transfers: 'ftp.body',
} as const satisfies Record<RuleSubject, string>;

/** Compiles the rules of a policy, in their order. Throws on a rule that parseRuleFile would have refused. */
export function compileRules(documents: readonly RuleDocument[]): CompiledRules {
  return new CompiledRules(documents);
}

function compileRule(document: RuleDocument, tests: FieldTest[]): Omit<CompiledRule, 'asks'> {
  const { id, title, rev, action, severity, tags, hold } = document;
  const ref = { id, title, rev };
  const first = tests.length;
  const condition = compileCondition(document.when, (test) => tests.push(test) - 1);
  const leaves = Array.from({ length: tests.length - first }, (_, index) => first + index);
  return { ref, match: { rule: ref, action, severity, tags }, hold, condition, leaves };
}

function asksOf(own: readonly number[], leaves: readonly Leaf[]): number {
  let asks = 0;
  for (const leaf of own) asks |= stageOf(leaves[leaf]);
  return asks;
}

function stageOf({ field, body, head }: Leaf = { field: '', body: undefined, head: undefined }): number {
  switch (head?.reader.origin) {
    case 'context':
      return stages.context;
    case 'request-head':
      return stages.requestHead;
    case 'response-head':
      return stages.responseHead;
    case undefined:
      return (body ?? foundFieldOf(field)?.message) === 'response' ? stages.response : stages.request;
  }
}

function compileLeaf(test: FieldTest): Leaf {
  const { field } = test;
  if (Object.values<string>(requestBodyOf).includes(field)) return { field, body: 'request', head: undefined };
  if (field === 'http.response.body') return { field, body: 'response', head: undefined };
  if (foundFieldOf(field) !== undefined) return { field, body: undefined, head: undefined };
  return { field, body: undefined, head: { reader: fieldReader(field), test: compileHeadTest(test) } };
}

function redactTests(rules: readonly CompiledRule[], tests: readonly FieldTest[], field: string) {
  return rules
    .filter(({ match }) => match.action === 'redact')
    .flatMap(({ leaves, ref }) =>
      leaves.flatMap((leaf) => {
        const test = tests[leaf];
        return test?.field === field ? [{ leaf, test, rule: ref }] : [];
      }),
    );
}

function testsOf(tests: readonly FieldTest[], field: string): { leaf: number; test: FieldTest }[] {
  return tests.flatMap((test, leaf) => (test.field === field ? [{ leaf, test }] : []));
}
