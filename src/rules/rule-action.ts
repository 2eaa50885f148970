import { headerChangeProblem, mailHeaderProblem } from '../codec/header-change.ts';
import type { ChangedMessage, RuleCondition, RuleDocument, RuleField } from '../core/rule-document.ts';
import type { RuleAction } from '../core/verdict.ts';
import { fieldKind, foundFieldOf } from './field.ts';
import { isFinding, maskedHeader, maskedTest } from './head-redaction.ts';
import { fieldsOf, isOfMailHead, subjectOf } from './rule-fields.ts';
import type { RuleMap, RuleSource } from './rule-source.ts';

const holds = ['start', 'body'] as const;
const messages = ['request', 'response', 'mail'] as const;

/** What of a rule says how its action is carried out. */
export type ActionDetails = Pick<RuleDocument, 'hold' | 'header'>;

/** Reads and checks what belongs to the action of a rule. */
export function readActionDetails(
  source: RuleSource,
  map: RuleMap,
  action: RuleAction | undefined,
  when: RuleCondition | undefined,
): ActionDetails {
  const hold = map.has('hold') ? source.oneOf(map.get('hold'), 'hold', holds, map.node) : undefined;
  const header = readHeader(source, map, action);
  if (when !== undefined && action !== undefined) {
    if (hold !== undefined) checkHold(source, map, action, when);
    if (header !== undefined) checkMoment(source, map, header.message, when);
    if (action === 'redact') checkRedaction(source, map, when);
  }
  return { ...(hold === undefined ? {} : { hold }), ...(header === undefined ? {} : { header }) };
}

function readHeader(source: RuleSource, map: RuleMap, action: RuleAction | undefined): ActionDetails['header'] {
  const changes = action === 'setHeader' || action === 'removeHeader';
  if (!changes)
    return map.has('header')
      ? source.report(map.get('header'), 'header goes with setHeader and removeHeader')
      : undefined;
  if (!map.has('header'))
    return source.report(map.node, `${action} needs header: { in, name${action === 'setHeader' ? ', value' : ''} }`);
  const keys = action === 'setHeader' ? ['in', 'name', 'value'] : ['in', 'name'];
  const header = source.map(map.get('header'), 'header', keys);
  if (header === undefined) return undefined;
  const message = source.oneOf(header.get('in'), 'in', messages, header.node);
  const name = source.text(header.get('name'), 'name', header.node);
  const value = action === 'setHeader' ? source.text(header.get('value'), 'value', header.node) : undefined;
  if (message === undefined || name === undefined || (action === 'setHeader' && value === undefined)) return undefined;
  const problem = message === 'mail' ? mailHeaderProblem(name, value) : headerChangeProblem(name, value);
  if (problem !== undefined) return source.report(header.node, problem);
  return { message, name, ...(value === undefined ? {} : { value }) };
}

function checkHold(source: RuleSource, map: RuleMap, action: RuleAction, when: RuleCondition): void {
  if (action !== 'block' && action !== 'reset') source.report(map.get('hold'), 'hold goes with block and reset');
  if (!fieldsOf(when).some(isOfBody)) source.report(map.get('hold'), 'hold: the rule asks for nothing of a body');
}

/** A head is changed before it is forwarded: what comes later is too late. Of a mail that waits for its verdict nothing is. */
function checkMoment(source: RuleSource, map: RuleMap, message: ChangedMessage, when: RuleCondition): void {
  if ((message === 'mail') !== (subjectOf(when) === 'mails')) {
    source.report(map.get('header'), 'header: "in: mail" goes with rules about mails, and they with nothing else');
  }
  if (message === 'mail') return;
  const late = fieldsOf(when).find((field) =>
    message === 'request' ? isOfBody(field) || isOfResponse(field) : isOfBody(field) && isOfResponse(field),
  );
  if (late !== undefined)
    source.report(map.get('when'), `${late} is known too late to change a header of the ${message}`);
}

/** What is masked has to be found in one body or one field of a mail, once all else is known. */
function checkRedaction(source: RuleSource, map: RuleMap, when: RuleCondition): void {
  const report = (problem: string) => source.report(map.get('when'), `redact: ${problem}`);
  const masked = maskedTest(when);
  if (masked === undefined) {
    report('one test of a body is needed, or of mail.subject or mail.header.NAME, by itself or in "all"');
    return;
  }
  const parts = 'all' in when ? when.all : [when];
  const others = parts.filter((part) => part !== masked).flatMap(fieldsOf);
  const header = maskedHeader(masked);
  const problem = header === undefined ? undefined : mailHeaderProblem(header);
  if (problem !== undefined) report(problem);
  else if (!isFinding(masked)) report('contains, regex or detector is needed, without count');
  else if (others.some((field) => isLate(field) || (isOfResponse(field) && !isOfResponse(masked.field)))) {
    report(`the other tests must be known before ${header === undefined ? 'the body' : 'the parts of the mail'}`);
  }
  if (masked.field === 'websocket.message') report('WebSocket messages cannot be changed');
}

/** Envelope and head of a mail are known before its parts. */
function isLate(field: RuleField): boolean {
  return isOfBody(field) && !isOfMailHead(field);
}

function isOfBody(field: RuleField): boolean {
  return fieldKind(field) === 'body' || foundFieldOf(field) !== undefined;
}

function isOfResponse(field: RuleField): boolean {
  return field.startsWith('http.response.');
}
