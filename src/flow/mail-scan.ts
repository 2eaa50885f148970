import { scannedPartHead } from '../codec/icap-request.ts';
import type { MimeHead } from '../codec/mime-header.ts';
import type { ScanFacts } from '../core/record.ts';
import { allow, type Verdict } from '../core/verdict.ts';
import { MessageScan } from './message-scan.ts';
import type { Scanner } from './scanners.ts';

export interface MailScanOptions {
  readonly scanners: readonly Scanner[];
  /** Where the mail goes. */
  readonly host: string;
  readonly shareKey: string;
  /** Told of each outcome before its verdict acts. */
  readonly onOutcome: (facts: ScanFacts) => void;
}

/**
 * Shows the parts of one mail to content scanners, each decoded and as a file of its own, one after the other while the
 * rest still comes. The verdict on all of them is there before the origin gets the end of the mail.
 */
export class MailScan {
  readonly #options: MailScanOptions;
  readonly #parts: MessageScan[] = [];
  #part: MessageScan | undefined;
  #verdicts: Promise<Verdict> | undefined;
  /** What was decided without a scanner: parts that none is shown. */
  verdict: Verdict = allow;

  constructor(options: MailScanOptions) {
    this.#options = options;
  }

  /** A part begins. Beyond the limits of what is taken apart it is not the file that a recipient sees. */
  begin({ type, fileNames }: MimeHead, isBeyondLimits: boolean): void {
    const { scanners, host, shareKey, onOutcome } = this.#options;
    const requestHead = scannedPartHead(host, type, fileNames[0]);
    this.#part = new MessageScan({
      method: 'REQMOD',
      message: 'mail',
      part: this.#parts.length + 1,
      scanners,
      framing: { kind: 'chunked' },
      shareKey,
      heads: () => ({ requestHead, responseHead: undefined }),
      onOutcome,
    });
    this.#parts.push(this.#part);
    if (isBeyondLimits && this.verdict.kind === 'allow') this.verdict = this.#part.giveUp('not taken apart');
  }

  /** Bytes of the present part, decoded. */
  bytes(decoded: Buffer): void {
    const part = this.#part;
    if (part === undefined || !part.isActive || this.verdict.kind !== 'allow') return;
    this.verdict = part.chunk(decoded);
  }

  partEnd(): void {
    const part = this.#part;
    this.#part = undefined;
    if (part === undefined || this.verdict.kind !== 'allow') return;
    const before = this.#verdicts ?? Promise.resolve(allow);
    this.#verdicts = before.then(async (verdict) =>
      verdict.kind === 'allow' ? ((await part.end()) ?? allow) : verdict,
    );
  }

  /** The verdict on all parts; undefined when there was none. Never rejects. */
  end(): Promise<Verdict> | undefined {
    return this.#verdicts;
  }

  /** Gives memory and connections back. */
  close(): void {
    for (const part of this.#parts) part.close();
  }
}
