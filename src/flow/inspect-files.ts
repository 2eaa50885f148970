import type { FileFacts, FlowFacts, Recorder } from '../core/record.ts';
import type { FileTransfer, TransferInspector, TransferOutcome, TransferRequest } from '../core/transfer.ts';
import { allow, type Match, type RuleRef, type Verdict } from '../core/verdict.ts';
import { count } from '../metrics/counters.ts';
import { newUlid } from '../records/ulid.ts';
import type { CompiledRules, TransactionScan } from '../rules/compile.ts';
import { verdictOf } from '../rules/verdict-of.ts';
import { FileObserver } from './observe-file.ts';

export interface FileInspection {
  readonly flow: FlowFacts;
  readonly rules: CompiledRules;
  readonly recorder: Recorder;
}

/** Inspects the transfers of one flow: runs the rules, writes alarms before their verdict acts, and the traffic records. */
export function inspectFiles(inspection: FileInspection): TransferInspector {
  return { transfer: (request) => new InspectedTransfer(inspection, request) };
}

class InspectedTransfer implements FileTransfer {
  readonly #inspection: FileInspection;
  readonly #request: TransferRequest;
  readonly #txId = newUlid();
  readonly #startMs = Date.now();
  readonly #scan: TransactionScan | undefined;
  readonly #observer: FileObserver;
  #bytes = 0;
  #file: FileFacts | undefined;
  #hasEnded = false;
  /** Rules that have become true and were not judged yet. */
  #pending: Match[] = [];
  #verdict: Verdict = allow;
  #rule: RuleRef | undefined;
  #ruleIds: string[] = [];
  #alarms = 0;

  constructor(inspection: FileInspection, request: TransferRequest) {
    this.#inspection = inspection;
    this.#request = request;
    const { flow, rules } = inspection;
    this.#scan = rules.transfers?.begin({
      assetId: flow.asset?.id,
      assetKind: flow.asset?.kind,
      clientIp: flow.client.ip,
      originIp: flow.origin?.ip,
      originPort: flow.destination?.port,
      sni: flow.serverName,
    });
    const wanted = this.#scan?.found.wanted.request;
    const name = nameOf(request);
    const claims = { names: name === undefined ? [] : [name], declared: undefined, isNamed: isFile(request) };
    const wants = { facts: wanted?.files ?? false, hashes: wanted?.hashes ?? false, records: isFile(request) };
    this.#observer = new FileObserver(claims, wants, (fact, values) => this.#tell(`ftp.file.${fact}`, values));
  }

  begin(): Verdict {
    const { command, direction, path, user } = this.#request;
    this.#tell('ftp.command', [command]);
    this.#tell('ftp.direction', [direction]);
    if (path !== '') this.#tell('ftp.path', [path]);
    if (user !== '') this.#tell('ftp.user', [user]);
    return this.#judge();
  }

  content(chunk: Buffer): Verdict {
    this.#bytes += chunk.length;
    if (this.#observer.isWanted) this.#observer.push(chunk);
    if (this.#scan?.needsRequestBody === true) this.#note(this.#scan.requestBody(chunk));
    return this.#judge();
  }

  end(): Verdict {
    this.#hasEnded = true;
    const { offset, command } = this.#request;
    // What is sent from the middle or to an end is a part of a file.
    this.#file = this.#observer.end(offset === 0 && command !== 'APPE');
    if (this.#scan !== undefined) this.#note(this.#scan.requestEnd());
    return this.#judge();
  }

  finish(outcome: TransferOutcome): void {
    const { flow, recorder } = this.#inspection;
    if (!this.#hasEnded) this.#file = this.#observer.end(false);
    flow.transactions += 1;
    const verdict = this.#verdict.kind === 'refuse' ? 'block' : this.#verdict.kind;
    count(transactionSeries[verdict]);
    if (outcome.failure !== undefined) count(`daylight_failures_total{code="${outcome.failure}"}`);
    recorder.transfer(flow, {
      txId: this.#txId,
      startMs: this.#startMs,
      endMs: Date.now(),
      request: this.#request,
      bytes: this.#bytes,
      file: this.#file === undefined ? undefined : { ...this.#file, isWhole: this.#file.isWhole && outcome.complete },
      outcome,
      verdict,
      rule: this.#rule,
      ruleIds: this.#ruleIds,
      matches: this.#ruleIds.length,
      alarms: this.#alarms,
    });
  }

  #tell(field: string, values: readonly string[]): void {
    if (this.#scan !== undefined && values.length > 0) this.#note(this.#scan.values(field, values));
  }

  #note(matches: readonly Match[]): void {
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
      recorder.alarm(flow, {
        timeMs: Date.now(),
        match,
        txId: this.#txId,
        request: undefined,
        transfer: this.#request.command,
      });
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
  allow: 'daylight_transactions_total{protocol="ftp",verdict="allow"}',
  block: 'daylight_transactions_total{protocol="ftp",verdict="block"}',
  reset: 'daylight_transactions_total{protocol="ftp",verdict="reset"}',
} as const;

/** Everything but a listing. */
function isFile({ command }: TransferRequest): boolean {
  return command === 'RETR' || command === 'STOR' || command === 'STOU' || command === 'APPE';
}

/** The last segment of the path, in the notations of Unix and Windows. */
function nameOf(request: TransferRequest): string | undefined {
  const name = isFile(request) ? request.path.slice(Math.max(...lastSeparators(request.path)) + 1) : '';
  return name === '' ? undefined : name;
}

function lastSeparators(path: string): readonly [number, number] {
  return [path.lastIndexOf('/'), path.lastIndexOf('\\')];
}
