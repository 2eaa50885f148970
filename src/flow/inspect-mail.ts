import { KeptWindow } from '../codec/kept-window.ts';
import { decodeWords } from '../codec/mime-header.ts';
import { PartPlaces } from '../codec/part-places.ts';
import { limits } from '../core/limits.ts';
import type { Mail, MailEnvelope, MailInspector, MailOutcome } from '../core/mail.ts';
import type { HeaderPolicy } from '../core/policy.ts';
import type { FlowFacts, Recorder, ScanFacts } from '../core/record.ts';
import type { Verdict } from '../core/verdict.ts';
import { count } from '../metrics/counters.ts';
import { newUlid } from '../records/ulid.ts';
import type { CompiledRules, TransactionScan } from '../rules/compile.ts';
import { isOfMailHead } from '../rules/rule-fields.ts';
import { countFailure } from './count-failure.ts';
import { MailChanges } from './mail-changes.ts';
import { MailScan } from './mail-scan.ts';
import { MatchLedger } from './match-ledger.ts';
import { scanAlarm } from './message-scan.ts';
import { MailObserver } from './observe-mail.ts';
import { MailRedactor } from './redact-mail.ts';
import type { Scanner } from './scanners.ts';

export interface MailInspection {
  readonly flow: FlowFacts;
  readonly rules: CompiledRules;
  readonly recorder: Recorder;
  /** Fields that policy changes in every mail. */
  readonly headers: HeaderPolicy;
  /** The content scanners that parts are shown to. */
  readonly scanners: () => readonly Scanner[];
}

/** Inspects the mails of one flow: runs the rules, writes alarms before their verdict acts, and the traffic records. */
export function inspectMail(inspection: MailInspection): MailInspector {
  const { rules, headers, scanners } = inspection;
  const always = rules.mails !== undefined || headers.remove.length + headers.set.length > 0;
  return {
    get judges() {
      // Which scanners apply may depend on a server name that comes with STARTTLS.
      return always || scanners().length > 0;
    },
    mail: () => new InspectedMail(inspection),
  };
}

class InspectedMail implements Mail {
  readonly #inspection: MailInspection;
  readonly #txId = newUlid();
  readonly #startMs = Date.now();
  readonly #scan: TransactionScan | undefined;
  readonly #observer: MailObserver;
  readonly #ledger: MatchLedger;
  readonly #changes: MailChanges;
  /** Bytes that may still be masked, where rules may ask for it. */
  readonly #window: KeptWindow | undefined;
  #redactor: MailRedactor | undefined;
  readonly #partScan: MailScan | undefined;
  readonly #scans: ScanFacts[] = [];
  #isHeadKnown = false;
  #envelope: MailEnvelope | undefined;
  #bytes = 0;

  constructor(inspection: MailInspection) {
    this.#inspection = inspection;
    const { flow, rules, recorder } = inspection;
    this.#scan = rules.mails?.begin({
      assetId: flow.asset?.id,
      assetKind: flow.asset?.kind,
      clientIp: flow.client.ip,
      originIp: flow.origin?.ip,
      originPort: flow.destination?.port,
      sni: flow.serverName,
    });
    this.#changes = new MailChanges(inspection.headers, rules.mails);
    this.#ledger = new MatchLedger({
      flow,
      recorder,
      transaction: { txId: this.#txId, request: undefined, isMail: true },
      takesChange: (match) => this.#changes.take(match),
    });
    this.#window = rules.mails?.redaction.request === undefined ? undefined : new KeptWindow();
    const scanners = inspection.scanners();
    if (scanners.length > 0) {
      this.#partScan = new MailScan({
        scanners,
        host: flow.destination?.host ?? '',
        shareKey: flow.shareKey,
        onOutcome: (facts) => this.#scanned(facts),
      });
    }
    const wanted = this.#scan?.found.wanted.request;
    this.#observer = new MailObserver({
      files: wanted?.files ?? false,
      hashes: wanted?.hashes ?? false,
      members: wanted?.members ?? false,
      tell: (field, values) => this.#tell(field, values),
      headEnd: () => this.#headEnd(),
      part: (transferEncoding, charset) => this.#part(transferEncoding, charset),
      text: (chunk) => this.#text(chunk),
      scan: this.#partScan,
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
    this.#window?.push(chunk);
    this.#observer.push(chunk);
    this.#window?.forget(this.#window.end - limits.mailMaskedBytes);
    return this.#judge();
  }

  end(): Verdict {
    this.#observer.end(true);
    this.#redactor?.end();
    this.#tell('mail.size', [String(this.#bytes)]);
    if (this.#scan !== undefined) this.#ledger.note(this.#scan.requestEnd());
    const verdict = this.#judge();
    const until = verdict.kind === 'allow' ? this.#partScan?.end() : undefined;
    if (until === undefined) return verdict;
    return { ...verdict, kind: 'allow', until: until.then((scanned) => this.#ledger.settle(scanned)) };
  }

  released(): void {
    this.#changes.close();
  }

  finish(outcome: MailOutcome): void {
    const { flow, recorder } = this.#inspection;
    this.#observer.end(false);
    this.#partScan?.close();
    flow.transactions += 1;
    const { facts } = this.#ledger;
    count(transactionSeries[facts.verdict]);
    if (outcome.failure !== undefined) countFailure(flow, outcome.failure);
    if (this.#envelope === undefined) return;
    const { files, parts, notInspected } = this.#observer;
    const headers = this.#changes.shown(this.#observer.headers);
    const subject = headers.find(([name]) => name.toLowerCase() === 'subject')?.[1];
    recorder.mail(flow, {
      txId: this.#txId,
      startMs: this.#startMs,
      endMs: Date.now(),
      envelope: this.#envelope,
      headers,
      subject: subject === undefined ? undefined : decodeWords(subject),
      files,
      parts,
      notInspected,
      changes: this.#changes.notes(this.#redactor?.notes ?? []),
      scans: this.#scans,
      outcome,
      ...facts,
    });
  }

  #tell(field: string, values: readonly string[]): void {
    if (this.#scan !== undefined && values.length > 0) this.#ledger.note(this.#scan.values(field, values));
  }

  /** What envelope and head hold is known: whether anything of the rest is to be masked follows from it. */
  #headEnd(): void {
    this.#isHeadKnown = true;
    this.#changes.head(this.#observer.headers);
    if (this.#scan === undefined) return;
    this.#ledger.note(this.#scan.settle(isOfMailHead));
    const redaction = this.#scan.redaction('request');
    if (redaction !== undefined && this.#window !== undefined)
      this.#redactor = new MailRedactor(redaction, this.#window);
  }

  #part(transferEncoding: string, charset: string | undefined): PartPlaces | undefined {
    if (this.#redactor === undefined) return undefined;
    const places = new PartPlaces(transferEncoding, charset);
    this.#redactor.part(places);
    return places;
  }

  #text(chunk: Buffer): void {
    if (this.#scan?.needsRequestBody === true) this.#ledger.note(this.#scan.requestBody(chunk));
    // Last: what is masked is masked in this very chunk.
    this.#redactor?.push(chunk);
  }

  #judge(): Verdict {
    const verdict = this.#ledger.judge();
    if (verdict.kind !== 'allow') return verdict;
    if (this.#partScan !== undefined && this.#partScan.verdict.kind !== 'allow') {
      return this.#ledger.settle(this.#partScan.verdict);
    }
    const late = this.#redactor?.late;
    if (late !== undefined) return this.#ledger.settle({ kind: 'block', rule: late });
    const { asked } = this.#changes;
    const keepBytes = this.#keepBytes;
    if (keepBytes === 0 && asked === undefined) return verdict;
    return { kind: 'allow', keepBytes, ...(asked === undefined ? {} : { changes: asked }) };
  }

  #scanned(facts: ScanFacts): void {
    if (this.#scans.length < limits.recordScans) this.#scans.push(facts);
    if (facts.outcome === 'blocked') this.#ledger.alarm(scanAlarm(facts, 'mail.part.body'));
  }

  get #keepBytes(): number {
    if (!this.#isHeadKnown) {
      // Longer heads are given up, and then known.
      if (this.#changes.mayBeAsked) return Number.POSITIVE_INFINITY;
      return this.#window === undefined ? 0 : limits.mailMaskedBytes;
    }
    return this.#redactor === undefined ? 0 : limits.mailMaskedBytes;
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
