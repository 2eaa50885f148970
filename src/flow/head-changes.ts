import type { Header } from '../core/http.ts';
import type { HeaderPolicy } from '../core/policy.ts';
import type { ChangedMessage } from '../core/rule-document.ts';
import type { HeadChanges } from '../core/verdict.ts';
import type { RuleHeader } from '../rules/compile.ts';

/** A change that a rule asks for. */
export interface RuleChange {
  readonly ruleId: string;
  readonly header: RuleHeader;
}

/** How a head is changed, and the same in the words of the record. */
export interface NotedChanges {
  readonly changes: HeadChanges;
  readonly notes: readonly string[];
}

/** What policy and rules change in a head; undefined when it stays as it is. */
export function headChanges(
  message: ChangedMessage,
  headers: readonly Header[],
  policy: HeaderPolicy,
  rules: readonly RuleChange[],
): NotedChanges | undefined {
  const asked = rules.filter(({ header }) => header.message === message);
  const removed = policy.remove.filter((name) => isPresent(headers, name));
  if (removed.length === 0 && policy.set.length === 0 && asked.length === 0) return undefined;
  const remove = new Set(removed);
  const set = new Map(policy.set.map((header) => [header[0].toLowerCase(), header]));
  const notes = [
    ...removed.map((name) => `${message} header removed: ${name}`),
    ...policy.set.map(([name]) => `${message} header set: ${name}`),
  ];
  for (const { ruleId, header } of asked) {
    const name = header.name.toLowerCase();
    if (header.value === undefined) {
      set.delete(name);
      if (!isPresent(headers, name)) continue;
      remove.add(name);
      notes.push(`${message} header removed: ${header.name} (rule ${ruleId})`);
    } else {
      set.set(name, [header.name, header.value]);
      notes.push(`${message} header set: ${header.name} (rule ${ruleId})`);
    }
  }
  if (remove.size === 0 && set.size === 0) return undefined;
  return { changes: { remove: [...remove], set: [...set.values()] }, notes };
}

/** Fields that come apart from a head, by the message that they belong to. */
export type FieldsApart = 'request trailer' | 'response trailer' | 'response interim header';

/**
 * What is left out of fields apart from a head, which are trailers or those of an interim response: the lines of every name
 * that is removed or set in the head. Each is noted.
 */
export function apartChanges(
  what: FieldsApart,
  fields: readonly Header[],
  policy: HeaderPolicy,
  rules: readonly RuleChange[],
): NotedChanges | undefined {
  const asked = rules.filter(({ header }) => what.startsWith(header.message));
  const names = [...policy.remove, ...policy.set.map(([name]) => name), ...asked.map(({ header }) => header.name)];
  const remove = [...new Set(names.map((name) => name.toLowerCase()))].filter((name) => isPresent(fields, name));
  if (remove.length === 0) return undefined;
  return { changes: { remove, set: [] }, notes: remove.map((name) => `${what} removed: ${name}`) };
}

/** `name` is lower case. */
function isPresent(headers: readonly Header[], name: string): boolean {
  for (const [present] of headers) {
    if (present.length === name.length && present.toLowerCase() === name) return true;
  }
  return false;
}
