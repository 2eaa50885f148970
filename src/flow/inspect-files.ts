import type { FileFacts, FlowFacts, Recorder, ScanFacts } from '../core/record.ts';
import type { TransferInspector, TransferOutcome, TransferRequest } from '../core/transfer.ts';
import type { Match, Verdict } from '../core/verdict.ts';
import { count } from '../metrics/counters.ts';
import { newUlid } from '../records/ulid.ts';
import type { CompiledRules, TransactionScan } from '../rules/compile.ts';
import { countFailure } from './count-failure.ts';
import { MatchLedger } from './match-ledger.ts';
import { FileObserver } from './observe-file.ts';
import { type ScannableTransfer, scannedTransfer } from './scan-transfers.ts';
import type { Scanner } from './scanners.ts';

export interface FileInspection {
  readonly flow: FlowFacts;
  readonly rules: CompiledRules;
  readonly recorder: Recorder;
  /** Content scanners that files are shown to. */
  readonly scanners: readonly Scanner[];
}

/** Inspects the transfers of one flow: runs the rules, writes alarms before their verdict acts, and the traffic records. */
export function inspectFiles(inspection: FileInspection): TransferInspector {
  const { scanners, flow } = inspection;
  const ends = { host: flow.serverName ?? flow.destination?.host ?? '', shareKey: flow.shareKey };
  return {
    transfer(request) {
      const inspected = new InspectedTransfer(inspection, request);
      return isFile(request) ? scannedTransfer(inspected, request, ends, scanners) : inspected;
    },
  };
}

class InspectedTransfer implements ScannableTransfer {
  readonly #inspection: FileInspection;
  readonly #request: TransferRequest;
  readonly #txId = newUlid();
  readonly #startMs = Date.now();
  readonly #scan: TransactionScan | undefined;
  readonly #observer: FileObserver;
  #bytes = 0;
  #file: FileFacts | undefined;
  #hasEnded = false;
  readonly #ledger: MatchLedger;
  readonly #scans: ScanFacts[] = [];

  constructor(inspection: FileInspection, request: TransferRequest) {
    this.#inspection = inspection;
    this.#request = request;
    const { flow, rules, recorder } = inspection;
    const transaction = { txId: this.#txId, request: undefined, transfer: request.command };
    this.#ledger = new MatchLedger({ flow, recorder, transaction });
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
    const hasContent = request.direction !== 'none';
    const wants = {
      facts: hasContent && (wanted?.files ?? false),
      hashes: hasContent && (wanted?.hashes ?? false),
      records: isFile(request),
      members: hasContent && wanted?.members === true ? ('all' as const) : ('none' as const),
    };
    this.#observer = new FileObserver(claims, wants, (fact, values) => this.#tell(`ftp.file.${fact}`, values));
  }

  begin(): Verdict {
    const { command, direction, path, user } = this.#request;
    this.#tell('ftp.command', [command]);
    if (direction !== 'none') this.#tell('ftp.direction', [direction]);
    if (path !== '') this.#tell('ftp.path', [path]);
    if (user !== '') this.#tell('ftp.user', [user]);
    return this.#ledger.judge();
  }

  content(chunk: Buffer): Verdict {
    this.#bytes += chunk.length;
    if (this.#observer.isWanted) this.#observer.push(chunk);
    if (this.#scan?.needsRequestBody === true) this.#ledger.note(this.#scan.requestBody(chunk));
    return this.#ledger.judge();
  }

  end(): Verdict {
    this.#hasEnded = true;
    const { offset, command } = this.#request;
    // What is sent from the middle or to an end is a part of a file.
    this.#file = this.#observer.end(offset === 0 && command !== 'APPE');
    if (this.#scan !== undefined) this.#ledger.note(this.#scan.requestEnd());
    return this.#ledger.judge();
  }

  finish(outcome: TransferOutcome): void {
    const { flow, recorder } = this.#inspection;
    if (!this.#hasEnded) this.#file = this.#observer.end(false);
    flow.transactions += 1;
    const { facts } = this.#ledger;
    count(transactionSeries[facts.verdict]);
    if (outcome.failure !== undefined) countFailure(flow, outcome.failure);
    recorder.transfer(flow, {
      txId: this.#txId,
      startMs: this.#startMs,
      endMs: Date.now(),
      request: this.#request,
      bytes: this.#bytes,
      file: this.#file === undefined ? undefined : { ...this.#file, isWhole: this.#file.isWhole && outcome.complete },
      outcome,
      ...(this.#scans.length === 0 ? {} : { scans: this.#scans }),
      ...facts,
    });
  }

  alarm(match: Match): void {
    this.#ledger.alarm(match);
  }

  settle(verdict: Verdict): Verdict {
    return this.#ledger.settle(verdict);
  }

  noteScan(facts: ScanFacts): void {
    this.#scans.push(facts);
  }

  #tell(field: string, values: readonly string[]): void {
    if (this.#scan !== undefined && values.length > 0) this.#ledger.note(this.#scan.values(field, values));
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
