import type { FtpCommand } from '../../codec/ftp-command.ts';
import type { FtpReply } from '../../codec/ftp-reply.ts';
import type { FailureCode } from '../../core/failures.ts';
import type { FileTransfer, TransferInspector, TransferRequest } from '../../core/transfer.ts';
import { allow, type Verdict } from '../../core/verdict.ts';
import { ftpAnswers } from './ftp-answers.ts';
import type { DataChannel, DataOutcome } from './ftp-options.ts';
import type { FtpSession } from './ftp-session.ts';

/** A transfer under way. */
interface Running {
  readonly request: TransferRequest;
  readonly transfer: FileTransfer;
  readonly channel: DataChannel;
  readonly verdict: () => Verdict;
  hasBegun: boolean;
  /** The client asked for its end. */
  isAborted: boolean;
  outcome: DataOutcome | undefined;
  /** The last answer of the origin, which waits until the data have arrived. */
  reply: FtpReply | undefined;
}

export interface TransferEvents {
  /** The transfer is over, and this is to be said of it; the origin may have a part of `partial`, which was blocked. */
  readonly over: (answer: Buffer, partial: string | undefined) => void;
  /** The gateway has cut the data of the transfer under way, which the origin has not answered yet. */
  readonly cut: () => void;
  /** A rule wants the session cut. */
  readonly reset: () => void;
}

/** The transfers of one session, one at a time, and the data channel that the next one will use. */
export class FtpTransfers {
  readonly #inspector: TransferInspector;
  readonly #events: TransferEvents;
  #channel: DataChannel | undefined;
  #running: Running | undefined;
  /** Of the last transfer, whose channel is not kept. */
  #hasMoved: DataChannel['hasMoved'] = () => false;
  /** A command under way that changes files without a transfer. */
  #act: FileTransfer | undefined;

  constructor(inspector: TransferInspector, events: TransferEvents) {
    this.#inspector = inspector;
    this.#events = events;
  }

  get isRunning(): boolean {
    return this.#running !== undefined;
  }

  /** The origin has consented to the transfer under way, which an ABOR may overtake. */
  get isMoving(): boolean {
    return this.#running?.hasBegun === true;
  }

  /** The origin has said its last word on the transfer, whose data are still on their way. */
  get isAnswered(): boolean {
    return this.#running?.reply !== undefined;
  }

  get hasMoved(): boolean {
    return this.#hasMoved();
  }

  get mode(): DataChannel['mode'] | undefined {
    return this.#channel?.mode;
  }

  /** A channel is there for the next transfer, in place of one that none has used. */
  offer(channel: DataChannel | undefined): void {
    this.#channel?.abort();
    this.#channel = channel;
  }

  /** Judges a transfer before its command is passed on; the answer when it must not be. */
  start(request: TransferRequest): string | undefined {
    const channel = this.#channel;
    this.#channel = undefined;
    // The origin may still listen for one that was given up: who connects to it past the gateway would get the file unread.
    if (channel === undefined || channel.isOver) return ftpAnswers.noDataPort;
    let verdict: Verdict = allow;
    const keep = (next: Verdict): Verdict => {
      if (verdict.kind === 'allow') verdict = next;
      return next.kind === 'allow' && next.until !== undefined ? { ...next, until: next.until.then(keep) } : next;
    };
    const inspected = this.#inspector.transfer(request);
    const transfer: FileTransfer = {
      begin: () => keep(inspected.begin()),
      content: (chunk) => keep(inspected.content(chunk)),
      end: () => keep(inspected.end()),
      finish: (outcome) => inspected.finish(outcome),
    };
    const first = transfer.begin();
    if (first.kind !== 'allow') {
      channel.abort();
      transfer.finish({ complete: false, ...failureOf(first), reply: undefined });
      if (first.kind === 'reset') this.#events.reset();
      return answerOf(first);
    }
    const running = { hasBegun: false, isAborted: false, outcome: undefined, reply: undefined };
    this.#running = { ...running, request, transfer, channel, verdict: () => verdict };
    this.#hasMoved = channel.hasMoved;
    const { isProtected } = request;
    channel.connect({ direction: request.direction === 'upload' ? 'upload' : 'download', isProtected });
    return undefined;
  }

  /** Judges a command that changes files; the answer when it must not be passed on. */
  act({ verb, argument }: FtpCommand, { user, isCleared }: Pick<FtpSession, 'user' | 'isCleared'>): string | undefined {
    const act = this.#inspector.transfer({
      command: verb,
      path: argument,
      direction: 'none',
      user,
      offset: 0,
      isProtected: false,
      isCleared,
      mode: undefined,
    });
    const first = act.begin();
    const verdict = first.kind === 'allow' ? act.end() : first;
    if (verdict.kind === 'allow') this.#act = act;
    if (verdict.kind === 'allow') return undefined;
    act.finish({ complete: false, ...failureOf(verdict), reply: undefined });
    if (verdict.kind === 'reset') this.#events.reset();
    return answerOf(verdict);
  }

  acted({ code, lines }: FtpReply): void {
    const complete = code < 400;
    this.#act?.finish({ complete, failure: undefined, detail: '', reply: { code, text: lines[0] ?? '' } });
    this.#act = undefined;
  }

  abortAsked(): void {
    const running = this.#running;
    if (running === undefined) return;
    running.isAborted = true;
    if (running.reply === undefined) return;
    running.channel.abort();
    running.outcome ??= { code: 'CLIENT_GONE', detail: 'ABOR' };
    this.#concludeWhenOver(running);
  }

  /** What the origin says to the transfer; returns what goes to the client now. */
  answered(reply: FtpReply): Buffer | undefined {
    const running = this.#running;
    if (running === undefined) return reply.raw;
    if (reply.code < 300 && !running.hasBegun) this.#begin(running);
    // Of a transfer that was refused the client hears no more until it is over: Pure-FTPd ends some with another 150.
    if (reply.code < 200) return refusalOf(running) === undefined ? reply.raw : undefined;
    running.reply = reply;
    // A transfer that the origin gives up has no more bytes to come.
    if (reply.code >= 300 || running.isAborted) running.channel.abort();
    if (running.outcome === undefined && (reply.code >= 300 || running.isAborted)) {
      running.outcome = { code: 'ORIGIN_TRUNCATED', detail: `${reply.code}` };
    }
    this.#concludeWhenOver(running);
    return undefined;
  }

  /** What the client is to be told of a transfer that the gateway has refused, whatever the origin says. */
  get refusal(): Buffer | undefined {
    return this.#running === undefined ? undefined : refusalOf(this.#running);
  }

  /** Ends everything from outside. */
  cut(code: FailureCode | undefined, detail: string): void {
    this.offer(undefined);
    this.#act?.finish({ complete: false, failure: code, detail, reply: undefined });
    this.#act = undefined;
    const running = this.#running;
    if (running === undefined) return;
    this.#running = undefined;
    running.channel.abort();
    const [verdict, { outcome }] = [running.verdict(), running];
    // A client may leave as soon as it sees what a rule, or the end of the data connection, has done: that is the cause.
    const ending =
      outcome?.code === undefined ? { failure: code, detail } : { failure: outcome.code, detail: outcome.detail };
    const failed = verdict.kind === 'allow' ? ending : failureOf(verdict);
    running.transfer.finish({ complete: false, ...failed, reply: undefined });
  }

  #begin(running: Running): void {
    running.hasBegun = true;
    const { request, transfer, channel } = running;
    channel.begin({
      direction: request.direction === 'upload' ? 'upload' : 'download',
      isProtected: request.isProtected,
      transfer,
      settled: (outcome) => {
        if (this.#running !== running || running.outcome !== undefined) return;
        running.outcome = outcome;
        if (running.verdict().kind === 'reset') return this.#events.reset();
        const isRefused = refusalOf(running) !== undefined;
        if (isRefused && running.reply === undefined && !running.isAborted) this.#events.cut();
        this.#concludeWhenOver(running);
      },
    });
  }

  #concludeWhenOver(running: Running): void {
    const { outcome, reply, transfer, isAborted } = running;
    if (outcome === undefined || reply === undefined || this.#running !== running) return;
    this.#running = undefined;
    const verdict = running.verdict();
    const failed = verdict.kind === 'allow' ? { failure: outcome.code, detail: outcome.detail } : failureOf(verdict);
    const complete = failed.failure === undefined && reply.code < 300 && !isAborted;
    transfer.finish({ complete, ...failed, reply: { code: reply.code, text: reply.lines[0] ?? '' } });
    this.#events.over(refusalOf(running) ?? this.#answerTo(running, reply, outcome), partialOf(running));
  }

  #answerTo({ isAborted }: Running, reply: FtpReply, { code, detail }: DataOutcome): Buffer {
    const isOwnFailure = code !== undefined && reply.code < 300 && !isAborted;
    return isOwnFailure ? lineOf(ftpAnswers.failed('transfer', code, detail)) : reply.raw;
  }
}

/** What the gateway says itself, because the origin knows only that its leg was cut. */
function refusalOf({ verdict, outcome, isAborted }: Running): Buffer | undefined {
  const judged = verdict();
  if (judged.kind !== 'allow') return lineOf(answerOf(judged));
  if (outcome?.code === undefined || isAborted || !dataRefusals.has(outcome.code)) return undefined;
  return lineOf(ftpAnswers.failed('transfer', outcome.code, outcome.detail));
}

/** What the gateway refuses of a data connection that the origin may hold to be good. */
const dataRefusals: ReadonlySet<FailureCode> = new Set(['CLIENT_FTP_DATA_IDENTITY', 'ORIGIN_FTP_DATA_IDENTITY']);

/** Only a file that this upload has begun is nobody else's. */
function partialOf({ request, verdict }: Running): string | undefined {
  const isBegun = request.command === 'STOR' && request.offset === 0 && request.path !== '';
  return isBegun && verdict().kind !== 'allow' ? request.path : undefined;
}

function failureOf(verdict: Exclude<Verdict, { kind: 'allow' }>): { failure: FailureCode; detail: string } {
  if (verdict.kind === 'refuse') return { failure: verdict.code, detail: verdict.detail };
  const failure = verdict.kind === 'block' ? 'POLICY_RULE_BLOCK' : 'POLICY_RULE_RESET';
  return { failure, detail: verdict.rule.id };
}

function answerOf(verdict: Exclude<Verdict, { kind: 'allow' }>): string {
  if (verdict.kind !== 'refuse') return ftpAnswers.blocked(verdict.rule);
  return ftpAnswers.failed('transfer', verdict.code, verdict.detail);
}

/** A reply or command as a line. */
export function lineOf(text: string): Buffer {
  return Buffer.from(`${text}\r\n`, 'latin1');
}
