import type { FailureCode } from '../core/failures.ts';
import type { RequestHead, ResponseHead } from '../core/http.ts';
import { limits } from '../core/limits.ts';
import type { FlowFacts, MessageFacts, Recorder } from '../core/record.ts';
import type { Side } from '../core/side.ts';
import { allow, type Match, type Verdict } from '../core/verdict.ts';
import type { MessageHead, MessageInspector } from '../core/websocket.ts';
import { count } from '../metrics/counters.ts';
import type { CompiledRules, TransactionContext, TransactionScan } from '../rules/compile.ts';
import { verdictOf } from '../rules/verdict-of.ts';
import { BodyExcerpt } from './body-excerpt.ts';
import { countFailure } from './count-failure.ts';
import { MessageGroup } from './message-group.ts';
import { coarseNowMs } from './ticker.ts';

export interface MessageInspection {
  readonly flow: FlowFacts;
  /** Rules that ask for messages; undefined when none does. */
  readonly rules: CompiledRules | undefined;
  readonly context: TransactionContext;
  readonly recorder: Recorder;
  readonly excerptBytes: number;
  /** The exchange that opened the WebSocket. */
  readonly txId: string;
  readonly request: RequestHead;
  readonly response: ResponseHead;
}

/** Inspects the messages of one WebSocket: runs the rules, writes alarms before their verdict acts, and the records. */
export function inspectMessages(inspection: MessageInspection): MessageInspector {
  return new InspectedMessages(inspection);
}

/** A message under way. */
interface LiveMessage {
  readonly head: MessageHead;
  readonly scan: TransactionScan | undefined;
  readonly excerpt: BodyExcerpt;
  bytes: number;
  hasMatched: boolean;
}

class InspectedMessages implements MessageInspector {
  readonly #inspection: MessageInspection;
  readonly #live: Record<Side, LiveMessage | undefined> = { client: undefined, origin: undefined };
  #group: MessageGroup | undefined;
  #groupSinceMs = 0;

  constructor(inspection: MessageInspection) {
    this.#inspection = inspection;
  }

  begin(from: Side, head: MessageHead): Verdict {
    const { rules, context, excerptBytes } = this.#inspection;
    const isTold = this.#openGroup().hasRoom;
    const message: LiveMessage = {
      head,
      scan: rules?.begin({ ...context, message: { from, type: head.type } }),
      excerpt: new BodyExcerpt(isTold ? excerptBytes : 0),
      bytes: 0,
      hasMatched: false,
    };
    this.#live[from] = message;
    if (message.scan === undefined) return allow;
    // To rules the message is the body of the request that opened the WebSocket: its length is known, or comes in pieces.
    const { request, response } = this.#inspection;
    const framing = head.bytes === undefined ? chunked : ({ kind: 'length', bytes: head.bytes } as const);
    const verdict = this.#judge(from, message.scan.requestHead({ ...request, framing }));
    return verdict.kind === 'allow' ? this.#judge(from, message.scan.responseHead(response)) : verdict;
  }

  content(from: Side, bytes: Buffer): Verdict {
    const message = this.#live[from];
    if (message === undefined) return allow;
    message.bytes += bytes.length;
    message.excerpt.add(bytes);
    if (message.scan?.needsRequestBody !== true) return allow;
    return this.#judge(from, message.scan.requestBody(bytes));
  }

  end(from: Side): Verdict {
    const message = this.#live[from];
    if (message === undefined) return allow;
    const verdict = message.scan === undefined ? allow : this.#judge(from, message.scan.requestEnd());
    // A message that is refused at its end is told of as one that was cut, by `finish`.
    if (verdict.kind === 'allow') this.#done(from, true);
    return verdict;
  }

  control(from: Side): void {
    this.#openGroup().counts[from].control += 1;
  }

  tick(nowMs: number): void {
    if (this.#group !== undefined && nowMs - this.#groupSinceMs >= limits.recordMessagesMs) this.#record(undefined, '');
  }

  finish(failure: FailureCode | undefined, detail: string): void {
    for (const side of ['client', 'origin'] as const) if (this.#live[side] !== undefined) this.#done(side, false);
    if (failure !== undefined) {
      this.#openGroup();
      countFailure(this.#inspection.flow, failure);
    }
    this.#record(failure, detail);
  }

  #done(from: Side, isComplete: boolean): void {
    const message = this.#live[from];
    if (message === undefined) return;
    this.#live[from] = undefined;
    const { head, bytes, excerpt, hasMatched } = message;
    const { type, isCompressed } = head;
    const facts: MessageFacts = {
      timeMs: Date.now(),
      from,
      type,
      isCompressed,
      isComplete,
      bytes,
      excerpt: excerpt.bytes(),
    };
    this.#openGroup().add(facts, hasMatched);
    count(messageSeries[from]);
  }

  #openGroup(): MessageGroup {
    if (this.#group === undefined) {
      this.#group = new MessageGroup();
      this.#groupSinceMs = coarseNowMs();
    }
    return this.#group;
  }

  #record(failure: FailureCode | undefined, detail: string): void {
    const group = this.#group;
    this.#group = undefined;
    if (group === undefined) return;
    const { flow, recorder, txId, request } = this.#inspection;
    recorder.messages(flow, group.facts({ txId, request, failure, detail, endMs: Date.now() }));
  }

  #judge(from: Side, matches: readonly Match[]): Verdict {
    if (matches.length === 0) return allow;
    const { flow, recorder, request } = this.#inspection;
    const group = this.#openGroup();
    const message = this.#live[from];
    if (message !== undefined) message.hasMatched = true;
    for (const match of matches) {
      group.matched(match);
      if (match.action === 'allow') continue;
      flow.alarms += 1;
      count(`daylight_alarms_total{severity="${match.severity}"}`);
      // Returns once the alarm is on disk: only then may its verdict act.
      recorder.alarm(flow, { timeMs: Date.now(), match, txId: group.id, request, isMessages: true });
    }
    const verdict = verdictOf(matches);
    if (verdict.kind === 'block' || verdict.kind === 'reset') group.judged(verdict.kind, verdict.rule);
    return verdict;
  }
}

const chunked = { kind: 'chunked' } as const;

const messageSeries = {
  client: 'daylight_messages_total{protocol="websocket",from="client"}',
  origin: 'daylight_messages_total{protocol="websocket",from="origin"}',
} as const;
