import type { IcapMessage, IcapMethod } from '../codec/icap-request.ts';
import { type FailureCode, FlowFailure } from '../core/failures.ts';
import type { BodyFraming } from '../core/http.ts';
import type { ScanFacts } from '../core/record.ts';
import { allow, type Match, type Verdict } from '../core/verdict.ts';
import { count } from '../metrics/counters.ts';
import { MessageHold } from './message-hold.ts';
import { shortageRefusal } from './relay/held-memory.ts';
import type { Scanner } from './scanners.ts';

export interface MessageScanOptions {
  readonly method: IcapMethod;
  /** How its record names it. */
  readonly message: ScanFacts['message'];
  readonly part?: number;
  readonly scanners: readonly Scanner[];
  readonly framing: BodyFraming;
  /** Whose share it is that the message takes: of the memory, and of the places at scanners. */
  readonly shareKey: string;
  /** The HTTP heads, made when the scan begins. */
  readonly heads: () => Pick<IcapMessage, 'requestHead' | 'responseHead'>;
  /** Told of each outcome before its verdict acts. */
  readonly onOutcome: (facts: ScanFacts) => void;
}

/** The scan of one message: its body is held until every scanner has said what it thinks of it. */
export class MessageScan {
  readonly #options: MessageScanOptions;
  readonly #hold: MessageHold;
  readonly #cancel = new AbortController();
  #scanners: readonly Scanner[];
  #body: Buffer[] = [];
  #bodyBytes = 0;

  constructor(options: MessageScanOptions) {
    this.#options = options;
    this.#scanners = options.scanners;
    const bodyBytes = Math.max(0, ...options.scanners.map(({ policy }) => policy.maximumBytes));
    this.#hold = new MessageHold({ startBytes: bodyBytes, bodyBytes }, options.shareKey);
  }

  /** Whether something waits for the scan. */
  get isActive(): boolean {
    return this.#scanners.length > 0;
  }

  /** What becomes of the message once its head has come: a body that is longer than scanners are shown need not be held. */
  begin(): Verdict {
    const { framing } = this.#options;
    return framing.kind === 'length' ? this.#leaveOut(framing.bytes) : allow;
  }

  /** What of the message would be shown is not what its recipient sees. */
  giveUp(detail: string): Verdict {
    return this.#failAll('POLICY_UNSCANNABLE', detail);
  }

  chunk(bytes: Buffer): Verdict {
    this.#bodyBytes += bytes.length;
    const verdict = this.#leaveOut(this.#bodyBytes);
    if (verdict.kind !== 'allow' || !this.isActive) return verdict;
    const waits = this.#hold.waits('body', bytes.length);
    if (waits === true) {
      this.#keep(bytes);
      return allow;
    }
    const { code, detail } = shortageRefusal(waits === 'share' || this.#hold.isOfThisClient ? 'share' : 'full');
    return this.#failAll(code, detail);
  }

  /** The verdict on the whole message; undefined when there is nothing to scan. Never rejects. */
  end(): Promise<Verdict> | undefined {
    if (!this.isActive || this.#bodyBytes === 0) return undefined;
    return (
      this.#scanAll()
        .catch(
          (error: unknown): Verdict => ({
            kind: 'refuse',
            code: error instanceof FlowFailure ? error.code : 'GATEWAY_INTERNAL',
            detail: error instanceof FlowFailure ? error.detail : 'content scan',
          }),
        )
        // What was judged may wait on for a slow receiver, who must not keep others from being scanned.
        .finally(() => this.#letGo())
    );
  }

  /** Gives memory and connections back, whatever has come of the scan. */
  close(): void {
    this.#cancel.abort(new FlowFailure('CLIENT_GONE', 'the exchange is over'));
    this.#letGo();
  }

  /** Pieces that lie side by side, as those of HTTP/2 do, are kept as one: a body of single bytes is no heap of them. */
  #keep(bytes: Buffer): void {
    const last = this.#body.at(-1);
    const isNext = last?.buffer === bytes.buffer && last.byteOffset + last.length === bytes.byteOffset;
    if (last === undefined || !isNext) this.#body.push(bytes);
    else {
      const length = last.length + bytes.length;
      this.#body[this.#body.length - 1] = Buffer.from(last.buffer, last.byteOffset, length);
    }
  }

  async #scanAll(): Promise<Verdict> {
    const message: IcapMessage = {
      method: this.#options.method,
      ...this.#options.heads(),
      body: this.#body,
      bodyBytes: this.#bodyBytes,
    };
    for (const scanner of this.#scanners) {
      const verdict = await this.#scan(scanner, message);
      if (verdict.kind !== 'allow') return verdict;
    }
    return allow;
  }

  async #scan(scanner: Scanner, message: IcapMessage): Promise<Verdict> {
    const startMs = performance.now();
    const outcome = await scanner.client
      .scan(message, this.#options.shareKey, this.#cancel.signal)
      .catch((error: unknown) => {
        if (!(error instanceof FlowFailure) || this.#cancel.signal.aborted) throw error;
        return error;
      });
    const durationMs = Math.round(performance.now() - startMs);
    if (outcome instanceof FlowFailure) return this.#failed(scanner, outcome.code, outcome.detail, durationMs);
    if (outcome.kind === 'clean') {
      this.#note(scanner, { outcome: 'clean', detail: undefined, failure: undefined, durationMs });
      return allow;
    }
    const { found } = outcome;
    this.#note(scanner, { outcome: 'blocked', detail: found, failure: undefined, durationMs });
    return { kind: 'refuse', code: 'POLICY_SCANNER_BLOCK', detail: `scanner ${scanner.policy.id}: ${found}` };
  }

  /** Scanners that are shown no body as long as this. */
  #leaveOut(bytes: number): Verdict {
    for (const scanner of this.#scanners) {
      const { maximumBytes } = scanner.policy;
      if (bytes <= maximumBytes) continue;
      this.#scanners = this.#scanners.filter((other) => other !== scanner);
      const verdict = this.#failed(scanner, 'POLICY_UNSCANNABLE', `more than ${maximumBytes} bytes`, 0);
      if (verdict.kind !== 'allow') return verdict;
    }
    if (!this.isActive) this.#letGo();
    return allow;
  }

  #failAll(code: FailureCode, detail: string): Verdict {
    const scanners = this.#scanners;
    this.#scanners = [];
    this.#letGo();
    for (const scanner of scanners) {
      const verdict = this.#failed(scanner, code, detail, 0);
      if (verdict.kind !== 'allow') return verdict;
    }
    return allow;
  }

  #failed(scanner: Scanner, failure: FailureCode, detail: string, durationMs: number): Verdict {
    const { id, onFailure } = scanner.policy;
    this.#note(scanner, { outcome: 'failed', detail, failure, durationMs });
    // Policy is about scanners: by a flood of its own a client gets nothing past them.
    return onFailure === 'allow' && failure !== 'CLIENT_HOARDING'
      ? allow
      : { kind: 'refuse', code: failure, detail: `scanner ${id}: ${detail}` };
  }

  #note({ policy }: Scanner, facts: Pick<ScanFacts, 'outcome' | 'detail' | 'failure' | 'durationMs'>): void {
    count(`daylight_scans_total{scanner="${policy.id}",outcome="${facts.outcome}"}`);
    const { message, part, onOutcome } = this.#options;
    onOutcome({ scanner: policy.id, message, ...(part === undefined ? {} : { part }), ...facts });
  }

  #letGo(): void {
    this.#body = [];
    this.#hold.release();
  }
}

/** The alarm of what a scanner found; `field` is where. */
export function scanAlarm({ scanner, detail = '' }: ScanFacts, field: string): Match {
  return {
    rule: { id: `scanner.${scanner}`, title: `Content scanner ${scanner}: ${detail}`, rev: 1 },
    action: 'block',
    severity: 'high',
    field,
    offset: 0,
    excerpt: detail,
    tags: ['content-scanner'],
  };
}
