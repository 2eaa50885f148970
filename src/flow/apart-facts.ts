import type { Header, ResponseHead } from '../core/http.ts';
import { limits } from '../core/limits.ts';
import type { HttpPolicy } from '../core/policy.ts';
import type { InterimFacts } from '../core/record.ts';
import { type AllowVerdict, allow } from '../core/verdict.ts';
import { apartChanges, type FieldsApart, type RuleChange } from './head-changes.ts';

/** Fields of an exchange that come apart from its two heads: kept for its record, and without what is changed in heads. */
export class ApartFacts {
  requestTrailers: readonly Header[] = noFields;
  responseTrailers: readonly Header[] = noFields;
  /** What was left out, in the words of the record. */
  notes: readonly string[] = [];
  #interims: readonly InterimFacts[] = [];
  #leftBytes = limits.recordHeadBytes;

  get interims(): readonly InterimFacts[] {
    return this.#interims;
  }

  /** Of many long ones nothing is kept but that they were there. */
  addInterim({ status, headers }: ResponseHead): void {
    for (const [name, value] of headers) this.#leftBytes -= name.length + value.length;
    const isCut = this.#leftBytes < 0;
    this.#interims = [...this.#interims, { status, headers: isCut ? noFields : headers, isCut }];
  }

  leaveOut(
    what: FieldsApart,
    fields: readonly Header[],
    policy: HttpPolicy['headers'],
    rules: readonly RuleChange[],
  ): AllowVerdict {
    const noted = apartChanges(what, fields, what === 'request trailer' ? policy.request : policy.response, rules);
    if (noted === undefined) return allow;
    this.notes = [...this.notes, ...noted.notes];
    return { kind: 'allow', changes: noted.changes };
  }
}

const noFields: readonly Header[] = [];
