import { Http2Field } from '../../codec/http2-field.ts';
import type { Verdict } from '../../core/verdict.ts';

/** The fields of a head that a verdict lets pass: without those that are removed, and with those that are set at their end. */
export function forwardedFields(fields: readonly Http2Field[], verdict: Verdict): readonly Http2Field[] {
  const changes = verdict.kind === 'allow' ? verdict.changes : undefined;
  if (changes === undefined) return fields;
  const dropped = new Set([...changes.remove, ...changes.set.map(([name]) => name.toLowerCase())]);
  const kept = fields.filter(({ name }) => !dropped.has(name));
  return [...kept, ...changes.set.map(([name, value]) => new Http2Field(name.toLowerCase(), value))];
}
