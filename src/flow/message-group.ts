import type { FailureCode } from '../core/failures.ts';
import type { RequestHead } from '../core/http.ts';
import { limits } from '../core/limits.ts';
import type { MessageFacts, MessageGroupFacts } from '../core/record.ts';
import type { Side } from '../core/side.ts';
import type { Match, RuleRef } from '../core/verdict.ts';
import { newUlid } from '../records/ulid.ts';

/** Messages that one record tells of: the first of them each, all of them in numbers. */
export class MessageGroup {
  readonly id = newUlid();
  readonly counts: Readonly<Record<Side, { messages: number; bytes: number; control: number }>> = {
    client: { messages: 0, bytes: 0, control: 0 },
    origin: { messages: 0, bytes: 0, control: 0 },
  };
  readonly #startMs = Date.now();
  readonly #messages: MessageFacts[] = [];
  #excerptBytes = 0;
  #verdict: 'allow' | 'block' | 'reset' = 'allow';
  #rule: RuleRef | undefined;
  #matches = 0;
  #alarms = 0;
  /** Every rule once: a WebSocket may match the same one in each of its messages. */
  readonly #ruleIds = new Set<string>();

  /** Whether another message is told of by itself. */
  get hasRoom(): boolean {
    return this.#messages.length < limits.recordMessages && this.#excerptBytes < limits.recordMessageExcerptBytes;
  }

  /** A message that made a rule true is told of although there is no room. */
  add(message: MessageFacts, hasMatched: boolean): void {
    const counts = this.counts[message.from];
    counts.messages += 1;
    counts.bytes += message.bytes;
    const isTold = this.hasRoom || (hasMatched && this.#messages.length < limits.recordMessages * 2);
    if (!isTold) return;
    this.#messages.push(message);
    this.#excerptBytes += message.excerpt?.length ?? 0;
  }

  matched(match: Match): void {
    this.#matches += 1;
    if (match.action !== 'allow') this.#alarms += 1;
    if (this.#ruleIds.size < limits.recordMessages) this.#ruleIds.add(match.rule.id);
    this.#rule ??= match.rule;
  }

  judged(verdict: 'block' | 'reset', rule: RuleRef): void {
    this.#verdict = verdict;
    this.#rule = rule;
  }

  facts(end: GroupEnd): MessageGroupFacts {
    return {
      ...end,
      groupId: this.id,
      startMs: this.#startMs,
      messages: this.#messages,
      counts: this.counts,
      verdict: this.#verdict,
      rule: this.#rule,
      ruleIds: [...this.#ruleIds],
      matches: this.#matches,
      alarms: this.#alarms,
    };
  }
}

interface GroupEnd {
  readonly txId: string;
  readonly request: RequestHead;
  readonly failure: FailureCode | undefined;
  readonly detail: string;
  readonly endMs: number;
}
