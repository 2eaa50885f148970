import { isMap, isScalar, isSeq, type Node } from 'yaml';
import type { RuleCondition, RuleDocument } from '../core/rule-document.ts';
import { fieldKind } from './field.ts';
import { readActionDetails } from './rule-action.ts';
import { fieldsOf, subjectOf } from './rule-fields.ts';
import { type RuleProblem, RuleSource } from './rule-source.ts';
import { readTest } from './test-reader.ts';

export type { RuleProblem } from './rule-source.ts';

/** Groups in groups; real rules have two or three. */
const deepestCondition = 16;
const severities = ['info', 'low', 'medium', 'high', 'critical'] as const;
const actions = ['allow', 'alarm', 'block', 'reset', 'redact', 'setHeader', 'removeHeader'] as const;
const ruleKeys = ['id', 'title', 'rev', 'severity', 'action', 'tags', 'when', 'hold', 'header'];
/** Ids stand in URLs, pages and file names of SIEMs. */
const idPattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/;

/**
 * Parses a rule file: a YAML list of rules with the keys of RuleDocument. Everything that is wrong is listed with its
 * line; rules that are right are returned all the same.
 */
export function parseRuleFile(
  text: string,
  fileName: string,
): { readonly rules: readonly RuleDocument[]; readonly problems: readonly RuleProblem[] } {
  const source = RuleSource.parse(text, fileName);
  const root = source.contents;
  if (root === undefined || (isScalar(root) && root.value === null)) return { rules: [], problems: source.problems };
  if (!isSeq(root)) {
    source.report(root, 'a rule file is a list of rules, each starting with "- id: ..."');
    return { rules: [], problems: source.problems };
  }
  const rules = root.items.flatMap((item) => readRule(source, item as Node | null) ?? []);
  return { rules: withoutRepeats(rules, source), problems: source.problems };
}

function readRule(source: RuleSource, node: Node | null): RuleDocument | undefined {
  const before = source.problems.length;
  const map = source.map(node, 'a rule', ruleKeys);
  if (map === undefined) return undefined;
  const id = source.text(map.get('id'), 'id', map.node);
  if (id !== undefined && !idPattern.test(id)) {
    source.report(map.get('id'), 'id: letters, digits, ".", "_" and "-" only, at most 100');
  }
  const title = source.text(map.get('title'), 'title', map.node);
  const rev = map.has('rev') ? source.count(map.get('rev'), 'rev') : 1;
  const severity = map.has('severity') ? source.oneOf(map.get('severity'), 'severity', severities, map.node) : 'medium';
  const action = source.oneOf(map.get('action'), 'action', actions, map.node);
  const tags = map.has('tags') ? source.texts(map.get('tags'), 'tags') : [];
  const when = map.has('when') ? readCondition(source, map.get('when'), 0) : missingWhen(source, map.node);
  const subject = when === undefined ? 'exchanges' : subjectOf(when);
  if (when !== undefined && subject === 'messages' && fieldsOf(when).some(isBodyOfExchange)) {
    source.report(map.get('when'), 'a rule about WebSocket messages cannot ask for the bodies of an exchange');
  }
  if (
    when !== undefined &&
    subject === 'mails' &&
    fieldsOf(when).some((field) => isOfExchange(field) || field.startsWith('ftp.'))
  ) {
    source.report(map.get('when'), 'a rule about mails cannot ask for HTTP, WebSocket or FTP');
  }
  if (
    when !== undefined &&
    subject === 'transfers' &&
    fieldsOf(when).some((field) => isOfExchange(field) || field.startsWith('mail.'))
  ) {
    source.report(map.get('when'), 'a rule about FTP transfers cannot ask for HTTP, WebSocket or mail');
  }
  if (subject === 'transfers' && action !== undefined && changesMessages.has(action)) {
    source.report(map.get('action'), `${action}: ${subject} cannot be changed`);
  }
  const details = readActionDetails(source, map, action, when);
  if (source.problems.length > before) return undefined;
  if (!id || !title || !rev || !severity || !action || !tags || !when) return undefined;
  const at = `${source.fileName}:${source.lineOf(map.node)}`;
  return { id, title, rev, severity, action, tags, when, ...details, source: at };
}

function isBodyOfExchange(field: string): boolean {
  return field.startsWith('http.') && fieldKind(field) === 'body';
}

/** What alters a message on its way. */
const changesMessages: ReadonlySet<string> = new Set(['redact', 'setHeader', 'removeHeader']);

function isOfExchange(field: string): boolean {
  return field.startsWith('http.') || field.startsWith('websocket.');
}

function missingWhen(source: RuleSource, node: Node): undefined {
  source.report(node, 'when is missing: the condition under which the rule is true');
}

function readCondition(source: RuleSource, node: Node | null, depth: number): RuleCondition | undefined {
  if (depth > deepestCondition) return source.report(node, `conditions are nested deeper than ${deepestCondition}`);
  const keys = isMap(node) ? node.items.map(({ key }) => String(key)) : [];
  const group = keys.find((key) => key === 'all' || key === 'any' || key === 'not');
  if (group === undefined) return readTest(source, node);
  const map = source.map(node, `a condition with "${group}"`, [group]);
  if (map === undefined) return undefined;
  const below = map.get(group);
  if (group === 'not') {
    const part = readCondition(source, below, depth + 1);
    return part === undefined ? undefined : { not: part };
  }
  const parts = readConditions(source, below, group, depth);
  return parts === undefined ? undefined : group === 'all' ? { all: parts } : { any: parts };
}

function readConditions(
  source: RuleSource,
  node: Node | null,
  group: string,
  depth: number,
): readonly RuleCondition[] | undefined {
  if (!isSeq(node) || node.items.length === 0) return source.report(node, `${group}: a list of conditions is needed`);
  const parts = node.items.map((item) => readCondition(source, item as Node | null, depth + 1));
  const right = parts.filter((part) => part !== undefined);
  return right.length === parts.length ? right : undefined;
}

/** An id names one rule in every alarm. */
function withoutRepeats(rules: readonly RuleDocument[], source: RuleSource): readonly RuleDocument[] {
  const first = new Map<string, RuleDocument>();
  return rules.filter((rule) => {
    const earlier = first.get(rule.id);
    if (earlier === undefined) {
      first.set(rule.id, rule);
      return true;
    }
    const line = Number(rule.source.slice(source.fileName.length + 1));
    source.reportLine(line, `rule ${rule.id} stands already at ${earlier.source}`);
    return false;
  });
}
