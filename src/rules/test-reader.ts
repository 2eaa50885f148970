import type { Node } from 'yaml';
import { parseCidr } from '../codec/cidr.ts';
import { canonicalHostPattern } from '../codec/host.ts';
import { canonicalIp } from '../codec/ip-address.ts';
import type { FieldTest, RuleField } from '../core/rule-document.ts';
import { nearest } from '../core/suggest.ts';
import { Expression } from './expression/expression.ts';
import { ExpressionError } from './expression/syntax.ts';
import { type FieldKind, fieldKind, plainFieldNames } from './field.ts';
import { listOf } from './list-of.ts';
import type { RuleMap, RuleSource } from './rule-source.ts';

type Operator = Exclude<keyof FieldTest, 'field' | 'near' | 'count' | 'nocase'>;

/** Shorter literals stand in nearly every body, so that they would sift nothing out. */
const shortestLiteralBytes = 3;
/** Bounds what is kept of a body between two chunks. */
const longestLiteralBytes = 256;
const longestMagicBytes = 64;
const mostCount = 1_000;
const detectors = ['card_number', 'private_key', 'cloud_credential'] as const;

/** What may be asked of each kind of field. */
const operatorsOf: Readonly<Record<FieldKind, readonly Operator[]>> = {
  text: ['equals', 'prefix', 'suffix', 'contains', 'regex', 'detector', 'greaterThan', 'lessThan', 'exists'],
  host: ['hosts', 'equals', 'prefix', 'suffix', 'contains', 'regex', 'exists'],
  address: ['cidr', 'equals', 'exists'],
  number: ['equals', 'greaterThan', 'lessThan', 'exists'],
  body: ['contains', 'regex', 'detector', 'startsWithHex', 'prefix', 'greaterThan', 'lessThan', 'exists'],
};
const operators: readonly Operator[] = [...new Set(Object.values(operatorsOf).flat())];
const ofOneBody: readonly Operator[] = ['startsWithHex', 'prefix', 'greaterThan', 'lessThan'];
const takeNocase: readonly Operator[] = ['equals', 'prefix', 'suffix', 'contains', 'regex'];
const takeCount: readonly Operator[] = ['contains', 'regex', 'detector'];

/** Reads a test of one field: a field, exactly one operator that fits it, and what belongs to the operator. */
export function readTest(source: RuleSource, node: Node | null): FieldTest | undefined {
  const map = source.map(node, 'a test', ['field', ...operators, 'near', 'count', 'nocase']);
  if (map === undefined) return undefined;
  const before = source.problems.length;
  const field = readField(source, map);
  const operator = readOperatorName(source, map);
  if (field === undefined || operator === undefined) return undefined;
  checkFit(source, map, field, operator);
  const test: FieldTest = {
    field,
    ...readOperator(source, map, operator, fieldKind(field) === 'body'),
    ...(map.has('near') ? { near: source.texts(map.get('near'), 'near') ?? [] } : {}),
    ...(map.has('count') ? { count: source.count(map.get('count'), 'count') ?? 1 } : {}),
    ...(map.has('nocase') ? { nocase: source.boolean(map.get('nocase'), 'nocase') ?? false } : {}),
  };
  if (source.problems.length === before) checkTest(source, map, test);
  return source.problems.length === before ? test : undefined;
}

function readField(source: RuleSource, map: RuleMap): RuleField | undefined {
  const field = source.text(map.get('field'), 'field', map.node);
  if (field === undefined) return undefined;
  if (fieldKind(field) !== undefined) return field as RuleField;
  const near = nearest(field, plainFieldNames);
  if (near !== undefined) return source.report(map.get('field'), `unknown field "${field}"; did you mean "${near}"?`);
  const known = `${plainFieldNames.join(', ')}, http.request.header.NAME, http.response.header.NAME, http.request.trailer.NAME, http.response.trailer.NAME, http.request.form.NAME`;
  return source.report(map.get('field'), `unknown field "${field}"; known are ${known}`);
}

function readOperatorName(source: RuleSource, map: RuleMap): Operator | undefined {
  const present = operators.filter((operator) => map.has(operator));
  if (present.length === 1) return present[0];
  if (present.length > 1) return source.report(map.node, `one operator is needed, not ${present.join(' and ')}`);
  return source.report(map.node, `an operator is needed: one of ${operators.join(', ')}`);
}

function checkFit(source: RuleSource, map: RuleMap, field: RuleField, operator: Operator): void {
  const fitting = operatorsOf[fieldKind(field) ?? 'text'];
  if (!fitting.includes(operator)) {
    source.report(map.get(operator), `${operator} cannot be asked of ${field}; ${fitting.join(', ')} can`);
  }
  if (field === 'mail.part.body' && ofOneBody.includes(operator)) {
    source.report(map.get(operator), `${operator} cannot be asked of ${field}, which is all parts of a mail`);
  }
  if (map.has('nocase') && !takeNocase.includes(operator)) {
    source.report(map.get('nocase'), `nocase goes with ${takeNocase.join(', ')}, not with ${operator}`);
  }
  if (map.has('count') && !takeCount.includes(operator)) {
    source.report(map.get('count'), `count goes with ${takeCount.join(', ')}, not with ${operator}`);
  }
  const bodyRegex = operator === 'regex' && fieldKind(field) === 'body';
  if (map.has('near') && !bodyRegex) source.report(map.get('near'), 'near goes with regex on a body');
  if (bodyRegex && !map.has('near')) {
    source.report(map.get('regex'), 'regex on a body needs near: literals, one of which stands in every match');
  }
}

function readOperator(source: RuleSource, map: RuleMap, operator: Operator, body: boolean): Partial<FieldTest> {
  const node = map.get(operator);
  switch (operator) {
    case 'equals':
      return { equals: source.list(node, operator, (item) => source.textOrNumber(item, operator)) ?? [] };
    case 'prefix':
    case 'suffix':
    case 'contains':
    case 'hosts':
    case 'cidr':
    case 'startsWithHex':
      return { [operator]: source.texts(node, operator) ?? [] };
    case 'regex':
      return { regex: source.text(node, operator) ?? '' };
    case 'detector': {
      const detector = source.oneOf(node, operator, detectors, map.node);
      return detector === undefined ? {} : { detector };
    }
    case 'greaterThan':
    case 'lessThan':
      return { [operator]: (body ? source.count(node, operator) : source.number(node, operator)) ?? 0 };
    case 'exists':
      return { exists: source.boolean(node, operator) ?? true };
  }
}

/** Checks what values must be beyond their types. */
function checkTest(source: RuleSource, map: RuleMap, test: FieldTest): void {
  if (test.regex !== undefined) checkRegex(source, map, test.regex, test.nocase === true);
  if ((test.count ?? 1) > mostCount) source.report(map.get('count'), `count: at most ${mostCount}`);
  if (test.contains !== undefined && (test.count ?? 1) > texts(test.contains).length) {
    source.report(map.get('count'), 'count: more than there are literals that could be found');
  }
  for (const hex of texts(test.startsWithHex)) checkHex(source, map, hex);
  for (const pattern of test.hosts ?? []) {
    if (canonicalHostPattern(pattern) === undefined) source.report(map.get('hosts'), `not a host pattern: ${pattern}`);
  }
  for (const block of test.cidr ?? []) {
    if (parseCidr(block) === undefined) source.report(map.get('cidr'), `not a block of addresses: ${block}`);
  }
  const kind = fieldKind(test.field);
  for (const value of listOf(test.equals)) {
    const fault = equalsFault(kind, String(value));
    if (fault !== undefined) source.report(map.get('equals'), `equals: ${fault}`);
  }
  if (kind !== 'body') return;
  checkLiterals(source, map, 'contains', texts(test.contains), shortestLiteralBytes, longestLiteralBytes);
  checkLiterals(source, map, 'near', test.near ?? [], shortestLiteralBytes, longestLiteralBytes);
  checkLiterals(source, map, 'prefix', texts(test.prefix), 1, longestMagicBytes);
}

/** Why no value of a field could ever be this one; undefined when one could. */
function equalsFault(kind: FieldKind | undefined, value: string): string | undefined {
  if (kind === 'number' && !/^\d+$/.test(value)) return `"${value}" is no number`;
  if (kind !== 'address') return undefined;
  const canonical = canonicalIp(value);
  if (canonical === undefined) return `"${value}" is no address; cidr takes blocks of them`;
  return canonical === value ? undefined : `write "${value}" as "${canonical}"`;
}

function checkRegex(source: RuleSource, map: RuleMap, regex: string, nocase: boolean): void {
  try {
    new Expression(regex, nocase);
  } catch (error) {
    if (!(error instanceof ExpressionError)) throw error;
    source.report(map.get('regex'), `regex: ${error.message}`);
  }
}

function checkHex(source: RuleSource, map: RuleMap, hex: string): void {
  if (!/^(?:[0-9A-Fa-f]{2})+$/.test(hex)) source.report(map.get('startsWithHex'), `not bytes in hex: ${hex}`);
  else if (hex.length > 2 * longestMagicBytes) {
    source.report(map.get('startsWithHex'), `startsWithHex: at most ${longestMagicBytes} bytes`);
  }
}

function checkLiterals(
  source: RuleSource,
  map: RuleMap,
  name: string,
  literals: readonly string[],
  shortest: number,
  longest: number,
): void {
  for (const literal of literals) {
    const bytes = Buffer.byteLength(literal);
    if (bytes < shortest) source.report(map.get(name), `${name}: "${literal}" is shorter than ${shortest} bytes`);
    if (bytes > longest) source.report(map.get(name), `${name}: a literal is longer than ${longest} bytes`);
  }
}

function texts(values: string | readonly string[] | undefined): readonly string[] {
  if (values === undefined) return [];
  return typeof values === 'string' ? [values] : values;
}
