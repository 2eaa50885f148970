import { parseChunk } from '../../codec/smtp-command.ts';
import type { SmtpReply } from '../../codec/smtp-reply.ts';
import { type FailureCode, FlowFailure } from '../../core/failures.ts';
import type { MailInspector } from '../../core/mail.ts';
import type { Wire } from '../../core/relay.ts';
import { answers } from './smtp-answers.ts';
import { SmtpChunks } from './smtp-chunks.ts';
import type { Conversation } from './smtp-conversation.ts';
import { HeldMail, type HoldLimits, isStalled } from './smtp-held-mail.ts';
import { refuseMail } from './smtp-refusal.ts';
import { releaseMail } from './smtp-release.ts';
import type { SmtpSession } from './smtp-session.ts';
import { SmtpTransfer } from './smtp-transfer.ts';

const noBytes: Buffer = Buffer.alloc(0);
const headInPieces = new FlowFailure('CLIENT_SMTP_TOO_LARGE', 'a head in too many chunks');

/** What the client's next bytes are; `waiting` until a reply tells. */
export type SmtpPhase = 'command' | 'waiting' | 'auth' | 'data' | 'chunk';

export interface MailsOptions {
  readonly wire: Wire;
  readonly talk: Conversation;
  readonly inspector: MailInspector;
  readonly hold: HoldLimits;
  /** Runs what goes on later, and then takes what the client has sent, in the phase that it returns. */
  readonly later: (call: () => SmtpPhase | undefined) => void;
}

/** What became of bytes: the phase after them, and what is left of them. */
interface Taken {
  readonly phase: SmtpPhase;
  readonly rest: Buffer;
}

/**
 * The mails of one session: DATA and BDAT. Where rules look at mails, one is held from its first byte until it is judged,
 * answered in the origin's place meanwhile; the origin then gets the whole, or RSET and nothing. A mail that is too long
 * to be held goes on as it comes, all but its end, and a late verdict costs the session its origin.
 */
export class SmtpMails {
  readonly #options: MailsOptions;
  #session: SmtpSession;
  #transfer: SmtpTransfer | undefined;
  /** The client's own DATA line, to be passed on later. */
  #dataLine: Buffer = noBytes;

  constructor(options: MailsOptions, session: SmtpSession) {
    this.#options = options;
    this.#session = session;
  }

  set session(session: SmtpSession) {
    this.#session = session;
  }

  /** Whether a mail has begun and not ended. */
  get isOpen(): boolean {
    return this.#transfer !== undefined && !this.#transfer.hasEnded;
  }

  /** The client should pause: the disk is slower than it is. */
  get isStalled(): boolean {
    return this.#transfer !== undefined && isStalled(this.#transfer.queue);
  }

  /** DATA, when all replies before it have come. */
  data(line: Buffer): SmtpPhase {
    const { talk, inspector } = this.#options;
    this.#dataLine = line;
    if (!inspector.judges || this.#session.accepted === 0) {
      talk.command(line, { kind: 'data' });
      return 'waiting';
    }
    const transfer = this.#begin();
    if (transfer.verdict.kind !== 'allow') return this.#judged(transfer);
    talk.own(answers.goOn);
    return 'data';
  }

  /** The origin's answer to a DATA that was passed on: at once, or after the mail was held. */
  dataAnswered(reply: SmtpReply, wasHeld: boolean): SmtpPhase {
    const { wire } = this.#options;
    if (!wasHeld) {
      wire.send('client', reply.raw);
      if (reply.code !== 354) {
        this.#transfer?.finish({ complete: true, reply: { code: reply.code, text: reply.lines[0] ?? '' } });
        this.#transfer = undefined;
        return 'command';
      }
      this.#transfer ??= this.#begin();
      return 'data';
    }
    const transfer = this.#transfer;
    if (transfer === undefined) return 'command';
    if (reply.code === 354) return this.#release(transfer);
    transfer.queue.drop();
    transfer.refusal = reply.raw;
    return transfer.hasEnded ? this.#judged(transfer) : 'data';
  }

  /** Bytes of DATA. */
  takeData(bytes: Buffer): Taken {
    const transfer = this.#transfer ?? this.#begin();
    const { content, wire, rest, lookAlike } = transfer.scanner.push(bytes);
    if (lookAlike !== undefined) return this.#smuggled(lookAlike);
    const before = transfer.bytes;
    for (const chunk of content) transfer.content(chunk);
    if (rest !== undefined) transfer.end();
    const phase = this.#taken(transfer, wire, transfer.bytes - before);
    return { phase, rest: rest ?? bytes.subarray(bytes.length) };
  }

  /** BDAT, when all replies before it have come; undefined when nobody can tell how many octets follow. */
  chunk(line: Buffer, argument: string): SmtpPhase | undefined {
    const chunk = parseChunk(argument);
    if (chunk === undefined || !this.#session.offered.has('CHUNKING')) return undefined;
    const transfer = this.#transfer ?? this.#begin();
    transfer.chunk(line, chunk);
    if (!transfer.isJudged) transfer.chunks.flush();
    return chunk.bytes === 0 ? this.#chunkTaken(transfer, noBytes) : 'chunk';
  }

  /** Octets of BDAT. */
  takeChunk(bytes: Buffer): Taken {
    const transfer = this.#transfer ?? this.#begin();
    const octets = bytes.subarray(0, transfer.chunkBytes);
    transfer.chunkBytes -= octets.length;
    transfer.content(octets);
    return { phase: this.#chunkTaken(transfer, octets), rest: bytes.subarray(octets.length) };
  }

  /** The origin's answer to a mail, or one of several (LMTP answers for each recipient). */
  contentAnswered({ code, lines, raw }: SmtpReply): void {
    this.#options.wire.send('client', raw);
    this.#transfer?.finish({ complete: true, reply: { code, text: lines[0] ?? '' } });
    this.#close();
  }

  /** The origin has taken what was on its way to it. */
  drained(): void {
    const onDrained = this.#transfer?.onDrained;
    if (this.#transfer !== undefined) this.#transfer.onDrained = undefined;
    onDrained?.();
  }

  /** The mail under way ends without an end. */
  cut(failure: FailureCode | undefined, detail = ''): void {
    this.#transfer?.finish({
      complete: false,
      reply: undefined,
      detail,
      ...(failure === undefined ? {} : { failure }),
    });
    this.#transfer = undefined;
  }

  #begin(): SmtpTransfer {
    const { inspector, hold, wire, later } = this.#options;
    const isJudged = inspector.judges && this.#session.accepted > 0;
    const chunks = new SmtpChunks(wire, (isLast) => this.#chunkPassed(isLast));
    const queue = new HeldMail(hold, (failure) =>
      later(() => (failure === undefined ? undefined : this.#lost(transfer, failure))),
    );
    const transfer = new SmtpTransfer(inspector.mail(), { queue, chunks, isJudged });
    this.#transfer = transfer;
    transfer.envelope(this.#session.envelope());
    return transfer;
  }

  #close(): void {
    this.#transfer = undefined;
    this.#session.resetMail();
  }

  #expectContent(): void {
    const { talk } = this.#options;
    const replies = this.#session.protocol === 'lmtp' ? Math.max(1, this.#session.accepted) : 1;
    for (let index = 0; index < replies; index += 1) talk.expect({ kind: 'content' });
  }

  /** The origin has the line of a chunk: of a mail that is judged, the client is answered in its place. */
  #chunkPassed(isLast: boolean): void {
    if (isLast) this.#expectContent();
    else this.#options.talk.expect({ kind: 'chunk', isSilent: this.#transfer?.isJudged === true });
  }

  #chunkTaken(transfer: SmtpTransfer, octets: Buffer): SmtpPhase {
    if (transfer.chunkBytes > 0) return this.#taken(transfer, octets, octets.length);
    if (transfer.isLastChunk) transfer.end();
    // A part of it is at the origin: without its end there is nothing to wait for.
    else if (transfer.isDropped && transfer.isPassed) return this.#judged(transfer);
    else if (transfer.isJudged) this.#options.talk.own(answers.chunkTaken);
    return this.#taken(transfer, octets, octets.length);
  }

  /** Bytes that were inspected: wait, go on, or are dropped. */
  #taken(transfer: SmtpTransfer, bytes: Buffer, contentBytes: number): SmtpPhase {
    const { verdict, queue } = transfer;
    if (transfer.isDropped) {
      queue.drop();
      return transfer.hasEnded ? this.#judged(transfer) : nextPhase(transfer);
    }
    if (bytes.length > 0) queue.push(bytes, contentBytes);
    if (verdict.kind !== 'allow' || verdict.until === undefined) return this.#goOn(transfer);
    verdict.until.then((last) =>
      this.#options.later(() => {
        if (this.#transfer !== transfer) return undefined;
        transfer.settle(last);
        return transfer.isDropped ? this.#judged(transfer) : this.#goOn(transfer);
      }),
    );
    return 'waiting';
  }

  /** The mail so far is allowed. */
  #goOn(transfer: SmtpTransfer): SmtpPhase {
    if (transfer.stage === 'passing') return this.#passed(transfer);
    if (transfer.isHeadInPieces) return this.#lost(transfer, headInPieces) ?? nextPhase(transfer);
    if (!transfer.hasEnded && transfer.mayWait()) return nextPhase(transfer);
    transfer.release();
    if (transfer.isChunked) return this.#release(transfer);
    this.#options.talk.command(this.#dataLine, { kind: 'held-data' });
    return 'waiting';
  }

  #release(transfer: SmtpTransfer): SmtpPhase {
    const { wire, later } = this.#options;
    const failure = releaseMail(transfer, wire, (failed) =>
      later(() => {
        if (this.#transfer !== transfer) return undefined;
        return failed === undefined ? this.#passed(transfer) : this.#lost(transfer, failed);
      }),
    );
    if (failure === 'later') return 'waiting';
    return failure === undefined ? this.#passed(transfer) : (this.#lost(transfer, failure) ?? 'waiting');
  }

  /** Everything that may is on its way to the origin. */
  #passed(transfer: SmtpTransfer): SmtpPhase {
    transfer.stage = 'passing';
    for (const piece of transfer.queue.take(transfer.keepBytes)) transfer.chunks.send(piece);
    if (!transfer.hasEnded) return nextPhase(transfer);
    transfer.chunks.flush();
    if (!transfer.isChunked) this.#expectContent();
    return 'command';
  }

  /** What waits of the mail cannot be passed on: the rest is dropped as it comes. */
  #lost(transfer: SmtpTransfer, failure: FlowFailure): SmtpPhase | undefined {
    if (this.#transfer !== transfer) return undefined;
    transfer.lose(failure);
    return transfer.isPassed || transfer.hasEnded ? this.#judged(transfer) : undefined;
  }

  /** The end of a mail that is not passed on. */
  #judged(transfer: SmtpTransfer): SmtpPhase {
    const { talk, wire } = this.#options;
    const goesOn = refuseMail(transfer, talk, wire, this.#session.protocol === 'lmtp' ? this.#session.accepted : 1);
    if (goesOn) this.#close();
    return goesOn ? 'command' : 'waiting';
  }

  #smuggled(lookAlike: string): Taken {
    const code = 'CLIENT_SMTP_AMBIGUOUS';
    const detail = `${lookAlike} may end a mail`;
    this.cut(code, detail);
    this.#options.talk.endNow(answers.failed('session', code, detail), code, detail);
    return { phase: 'waiting', rest: noBytes };
  }
}

/** What comes next of a mail that has not ended. */
function nextPhase(transfer: SmtpTransfer): SmtpPhase {
  if (!transfer.isChunked) return 'data';
  return transfer.chunkBytes > 0 ? 'chunk' : 'command';
}
