import { DataScanner } from '../../codec/smtp-data.ts';
import type { FailureCode } from '../../core/failures.ts';
import type { Mail, MailEnvelope, MailOutcome } from '../../core/mail.ts';
import { allow, type Verdict } from '../../core/verdict.ts';
import type { HoldBudget } from './smtp-hold.ts';

/** One mail on its way: what is held of it until its verdict, and the verdict so far. */
export class SmtpTransfer {
  readonly scanner = new DataScanner();
  readonly #mail: Mail;
  readonly #budget: HoldBudget;
  readonly #holdBytes: number;
  #held: Buffer[] | undefined;
  #heldBytes = 0;
  #isFinished = false;
  bytes = 0;
  verdict: Verdict = allow;
  /** The origin has a part of it. */
  isPassed = false;
  /** The line of the present chunk, while none of its octets was passed. */
  chunkLine: Buffer | undefined;
  /** Chunks of BDAT that were answered and not passed on. */
  heldChunks = 0;
  /** Octets of the present chunk that are still to come, and whether it is the last. */
  chunkBytes = 0;
  isLastChunk = false;
  /** All of the mail has come. */
  hasEnded = false;
  /** What the origin said instead of taking it: all that still comes is dropped. */
  refusal: Buffer | undefined;

  /** Holds at most `holdBytes` of the mail, or nothing of it when that is 0. */
  constructor(mail: Mail, budget: HoldBudget, holdBytes: number) {
    this.#mail = mail;
    this.#budget = budget;
    this.#holdBytes = holdBytes;
    this.#held = holdBytes > 0 ? [] : undefined;
  }

  get isHeld(): boolean {
    return this.#held !== undefined;
  }

  /** What comes of it is not passed on any more. */
  get isDropped(): boolean {
    return this.verdict.kind !== 'allow' || this.refusal !== undefined;
  }

  envelope(envelope: MailEnvelope): void {
    this.verdict = this.#mail.envelope(envelope);
  }

  content(chunk: Buffer): void {
    this.bytes += chunk.length;
    if (this.verdict.kind === 'allow') this.verdict = this.#mail.content(chunk);
  }

  end(): void {
    this.hasEnded = true;
    if (this.verdict.kind === 'allow') this.verdict = this.#mail.end();
  }

  /** Keeps bytes for later; false when there is no room for them and the mail must go on as it comes. */
  hold(bytes: Buffer): boolean {
    this.#held?.push(bytes);
    this.#heldBytes += bytes.length;
    const hasRoom = this.#budget.take(bytes.length);
    return hasRoom && this.#heldBytes <= this.#holdBytes;
  }

  /** What was held, to be passed on now. */
  release(): Buffer[] {
    const held = this.#held ?? [];
    this.#held = undefined;
    this.#budget.give(this.#heldBytes);
    this.#heldBytes = 0;
    return held;
  }

  finish(outcome: Pick<MailOutcome, 'complete' | 'reply'> & { failure?: FailureCode; detail?: string }): void {
    if (this.#isFinished) return;
    this.#isFinished = true;
    this.release();
    this.#mail.finish({
      complete: outcome.complete,
      failure: outcome.failure,
      detail: outcome.detail ?? '',
      reply: outcome.reply,
      bytes: this.bytes,
    });
  }
}
