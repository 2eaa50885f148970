import type { Mail, MailEnvelope, MailInspector, MailOutcome } from '../core/mail.ts';
import type { FlowFacts, Recorder } from '../core/record.ts';
import { allow, type Match, type RuleRef, type Verdict } from '../core/verdict.ts';
import { count } from '../metrics/counters.ts';
import { newUlid } from '../records/ulid.ts';
import type { CompiledRules, TransactionScan } from '../rules/compile.ts';
import { verdictOf } from '../rules/verdict-of.ts';
import { MailObserver } from './observe-mail.ts';

export interface MailInspection {
  readonly flow: FlowFacts;
  readonly rules: CompiledRules;
  readonly recorder: Recorder;
}

/** Inspects the mails of one flow: runs the rules, writes alarms before their verdict acts, and the traffic records. */
export function inspectMail(inspection: MailInspection): MailInspector {
  return { judges: inspection.rules.mails !== undefined, mail: () => new InspectedMail(inspection) };
}

class InspectedMail implements Mail {
  readonly #inspection: MailInspection;
  readonly #txId = newUlid();
  readonly #startMs = Date.now();
  readonly #scan: TransactionScan | undefined;
  readonly #observer: MailObserver;
  #envelope: MailEnvelope | undefined;
  #bytes = 0;
  /** Rules that have become true and were not judged yet. */
  #pending: Match[] = [];
  #verdict: Verdict = allow;
  #rule: RuleRef | undefined;
  #ruleIds: string[] = [];
  #alarms = 0;

  constructor(inspection: MailInspection) {
    this.#inspection = inspection;
    const { flow, rules } = inspection;
    this.#scan = rules.mails?.begin({
      assetId: flow.asset?.id,
      assetKind: flow.asset?.kind,
      clientIp: flow.client.ip,
      originIp: flow.origin?.ip,
      originPort: flow.destination?.port,
      sni: flow.serverName,
    });
    const wanted = this.#scan?.found.wanted.request;
    this.#observer = new MailObserver({
      files: wanted?.files ?? false,
      hashes: wanted?.hashes ?? false,
      tell: (field, values) => this.#tell(field, values),
      text: (chunk) => this.#text(chunk),
    });
  }

  envelope(envelope: MailEnvelope): Verdict {
    this.#envelope = { ...envelope, to: [...envelope.to] };
    this.#tell('mail.helo', [envelope.helo]);
    this.#tell('mail.from', [envelope.from]);
    this.#tell('mail.to', envelope.to);
    this.#tell('mail.recipients', [String(envelope.accepted)]);
    if (envelope.authMechanism !== undefined) this.#tell('mail.auth.mechanism', [envelope.authMechanism]);
    if (envelope.authIdentity !== undefined) this.#tell('mail.auth.identity', [byteText(envelope.authIdentity)]);
    return this.#judge();
  }

  content(chunk: Buffer): Verdict {
    this.#bytes += chunk.length;
    this.#observer.push(chunk);
    return this.#judge();
  }

  end(): Verdict {
    this.#observer.end(true);
    this.#tell('mail.size', [String(this.#bytes)]);
    if (this.#scan !== undefined) this.#pending.push(...this.#scan.requestEnd());
    return this.#judge();
  }

  finish(outcome: MailOutcome): void {
    const { flow, recorder } = this.#inspection;
    this.#observer.end(false);
    flow.transactions += 1;
    count(transactionSeries[this.#verdict.kind === 'refuse' ? 'block' : this.#verdict.kind]);
    if (outcome.failure !== undefined) count(`daylight_failures_total{code="${outcome.failure}"}`);
    if (this.#envelope === undefined) return;
    const { headers, subject, files, parts, notInspected } = this.#observer;
    recorder.mail(flow, {
      txId: this.#txId,
      startMs: this.#startMs,
      endMs: Date.now(),
      envelope: this.#envelope,
      headers,
      subject,
      files,
      parts,
      notInspected,
      outcome,
      verdict: this.#verdict.kind === 'refuse' ? 'block' : this.#verdict.kind,
      rule: this.#rule,
      ruleIds: this.#ruleIds,
      matches: this.#ruleIds.length,
      alarms: this.#alarms,
    });
  }

  #tell(field: string, values: readonly string[]): void {
    if (this.#scan === undefined || values.length === 0) return;
    const matches = this.#scan.values(field, values);
    if (matches.length > 0) this.#pending.push(...matches);
  }

  #text(chunk: Buffer): void {
    if (this.#scan?.needsRequestBody !== true) return;
    const matches = this.#scan.requestBody(chunk);
    if (matches.length > 0) this.#pending.push(...matches);
  }

  #judge(): Verdict {
    const matches = this.#pending;
    if (matches.length === 0) return allow;
    this.#pending = [];
    const { flow, recorder } = this.#inspection;
    for (const match of matches) {
      this.#ruleIds.push(match.rule.id);
      this.#rule ??= match.rule;
      if (match.action === 'allow') continue;
      flow.alarms += 1;
      this.#alarms += 1;
      count(`daylight_alarms_total{severity="${match.severity}"}`);
      // Returns once the alarm is on disk: only then may its verdict act.
      recorder.alarm(flow, { timeMs: Date.now(), match, txId: this.#txId, request: undefined, isMail: true });
    }
    const verdict = verdictOf(matches);
    if (verdict.kind === 'block' || verdict.kind === 'reset') {
      this.#verdict = verdict;
      this.#rule = verdict.rule;
    }
    return verdict;
  }
}

const transactionSeries = {
  allow: 'daylight_transactions_total{protocol="smtp",verdict="allow"}',
  block: 'daylight_transactions_total{protocol="smtp",verdict="block"}',
  reset: 'daylight_transactions_total{protocol="smtp",verdict="reset"}',
} as const;

/** Rules read UTF-8, one character per byte. */
function byteText(text: string): string {
  return Buffer.from(text).toString('latin1');
}
