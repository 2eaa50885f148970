import type { BodyFraming, RequestHead, ResponseHead } from '../../src/core/http.ts';
import type { Match } from '../../src/core/verdict.ts';
import { type CompiledRules, compileRules, type TransactionContext } from '../../src/rules/compile.ts';
import { parseRuleFile } from '../../src/rules/rule-file.ts';

export const context: TransactionContext = {
  assetId: 'web-1',
  assetKind: 'cvm',
  clientIp: '10.1.0.7',
  originIp: '203.0.113.9',
  originPort: 443,
  sni: 'shop.example',
};

const chunked: BodyFraming = { kind: 'chunked' };

export function request(changes: Partial<RequestHead> = {}): RequestHead {
  return {
    method: 'POST',
    target: '/',
    version: '1.1',
    host: 'shop.example',
    headers: [['Host', 'shop.example']],
    framing: chunked,
    ...changes,
  };
}

export function response(changes: Partial<ResponseHead> = {}): ResponseHead {
  return { status: 200, reason: 'OK', version: '1.1', headers: [], framing: chunked, ...changes };
}

/** Compiles a rule file that must be right. */
export function rulesOf(yaml: string): CompiledRules {
  const { rules, problems } = parseRuleFile(yaml, 'test.yaml');
  if (problems.length > 0) throw new Error(JSON.stringify(problems));
  return compileRules(rules);
}

/** One alarm rule `r` with a condition in YAML's flow style. */
export function ruleWhen(when: string): CompiledRules {
  return rulesOf(`- { id: r, title: t, action: alarm, when: ${when} }`);
}

export interface Exchanged {
  readonly context?: Partial<TransactionContext>;
  readonly request?: Partial<RequestHead>;
  readonly requestBody?: readonly Buffer[];
  readonly response?: Partial<ResponseHead>;
  readonly responseBody?: readonly Buffer[];
}

/** Runs a whole exchange, as the relay does: bodies only while they are needed. */
export function exchange(rules: CompiledRules, parts: Exchanged = {}): readonly Match[] {
  const scan = rules.begin({ ...context, ...parts.context });
  const matches = [...scan.requestHead(request(parts.request))];
  for (const chunk of parts.requestBody ?? []) if (scan.needsRequestBody) matches.push(...scan.requestBody(chunk));
  matches.push(...scan.requestEnd(), ...scan.responseHead(response(parts.response)));
  for (const chunk of parts.responseBody ?? []) if (scan.needsResponseBody) matches.push(...scan.responseBody(chunk));
  return [...matches, ...scan.responseEnd()];
}

/** Whether the condition is true of an exchange. */
export function isTrue(when: string, parts: Exchanged = {}): boolean {
  return exchange(ruleWhen(when), parts).length === 1;
}

export function ids(matches: readonly Match[]): readonly string[] {
  return matches.map(({ rule }) => rule.id);
}
