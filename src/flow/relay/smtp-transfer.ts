import { DataScanner } from '../../codec/smtp-data.ts';
import type { FailureCode, FlowFailure } from '../../core/failures.ts';
import { limits } from '../../core/limits.ts';
import type { Mail, MailEnvelope, MailOutcome } from '../../core/mail.ts';
import { allow, type HeadChanges, keptBytes, type Verdict } from '../../core/verdict.ts';
import type { SmtpChunks } from './smtp-chunks.ts';
import type { HeldMail } from './smtp-held-mail.ts';

/** What the parts of one mail's way are kept in. */
export interface TransferParts {
  readonly queue: HeldMail;
  readonly chunks: SmtpChunks;
  /** Rules look at it: it waits for them, and its chunks are answered in the origin's place. */
  readonly isJudged: boolean;
}

/** One mail on its way: what waits of it, and the verdict so far. */
export class SmtpTransfer {
  readonly scanner = new DataScanner();
  readonly queue: HeldMail;
  readonly chunks: SmtpChunks;
  readonly isJudged: boolean;
  readonly #mail: Mail;
  #isFinished = false;
  #verdict: Verdict = allow;
  /** What waits of it could not be kept. */
  #lost: Verdict | undefined;
  bytes = 0;
  /** All of it waits; then what waits is being sent; then it goes on as it comes, but for what is kept back. */
  stage: 'held' | 'releasing' | 'passing';
  /** It comes in chunks. */
  isChunked = false;
  /** Octets of the present chunk that are still to come, and whether it is the last. */
  chunkBytes = 0;
  isLastChunk = false;
  /** All of the mail has come. */
  hasEnded = false;
  /** What the origin said instead of taking it: all that still comes is dropped. */
  refusal: Buffer | undefined;
  /** Goes on with what is being sent once the origin has taken what is on its way. */
  onDrained: (() => void) | undefined;

  constructor(mail: Mail, { queue, chunks, isJudged }: TransferParts) {
    this.isJudged = isJudged;
    this.stage = isJudged ? 'held' : 'passing';
    this.#mail = mail;
    this.queue = queue;
    this.chunks = chunks;
  }

  get verdict(): Verdict {
    return this.#lost ?? this.#verdict;
  }

  /** The verdict that was waited for. */
  settle(verdict: Verdict): void {
    const { changes } = this;
    // What was to be changed in the head still is.
    this.#verdict = verdict.kind === 'allow' && changes !== undefined ? { kind: 'allow', changes } : verdict;
  }

  /** The origin expects its content, or has a part of it. */
  get isPassed(): boolean {
    return this.stage !== 'held' && this.refusal === undefined;
  }

  /** Bytes of content that stay back for now. */
  get keepBytes(): number {
    return this.hasEnded ? 0 : keptBytes(this.verdict);
  }

  get changes(): HeadChanges | undefined {
    return this.verdict.kind === 'allow' ? this.verdict.changes : undefined;
  }

  /** What comes of it is not passed on any more. */
  get isDropped(): boolean {
    return this.verdict.kind !== 'allow' || this.refusal !== undefined;
  }

  /** Whether all of it may wait on. */
  mayWait(): boolean {
    const keep = this.keepBytes;
    // Asked for without end, e.g. while the head is not whole: it is the inspector's to bound.
    if (keep === Number.POSITIVE_INFINITY) return true;
    return this.chunks.waiting < limits.mailChunks && this.queue.mayWait(keep);
  }

  /** Its head comes in more chunks than may wait: a head that is never whole would wait for good. */
  get isHeadInPieces(): boolean {
    return this.keepBytes === Number.POSITIVE_INFINITY && this.chunks.waiting >= limits.mailChunks;
  }

  /** A line of BDAT. Of a mail that is dropped none waits. */
  chunk(line: Buffer, { bytes, isLast }: { readonly bytes: number; readonly isLast: boolean }): void {
    this.isChunked = true;
    this.chunkBytes = bytes;
    this.isLastChunk = isLast;
    if (!this.isDropped) this.chunks.add(line, bytes, isLast);
  }

  envelope(envelope: MailEnvelope): void {
    this.#verdict = this.#mail.envelope(envelope);
  }

  content(chunk: Buffer): void {
    this.bytes += chunk.length;
    if (this.verdict.kind === 'allow') this.#verdict = this.#mail.content(chunk);
  }

  end(): void {
    this.hasEnded = true;
    if (this.verdict.kind === 'allow') this.#verdict = this.#mail.end();
  }

  /** From now on its first bytes cannot be changed any more. */
  release(): void {
    this.stage = 'releasing';
    this.#mail.released?.();
  }

  lose({ code, detail }: FlowFailure): void {
    this.#lost = { kind: 'refuse', code, detail };
    this.queue.drop();
  }

  finish(outcome: Pick<MailOutcome, 'complete' | 'reply'> & { failure?: FailureCode; detail?: string }): void {
    if (this.#isFinished) return;
    this.#isFinished = true;
    this.queue.drop();
    this.#mail.finish({
      complete: outcome.complete,
      failure: outcome.failure,
      detail: outcome.detail ?? '',
      reply: outcome.reply,
      bytes: this.bytes,
    });
  }
}
