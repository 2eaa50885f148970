import { parseChunk } from '../../codec/smtp-command.ts';
import type { SmtpReply } from '../../codec/smtp-reply.ts';
import type { FailureCode } from '../../core/failures.ts';
import type { MailInspector } from '../../core/mail.ts';
import type { Wire } from '../../core/relay.ts';
import { answers } from './smtp-answers.ts';
import type { Conversation } from './smtp-conversation.ts';
import type { HoldBudget } from './smtp-hold.ts';
import type { SmtpSession } from './smtp-session.ts';
import { SmtpTransfer } from './smtp-transfer.ts';

const noBytes: Buffer = Buffer.alloc(0);

/** What the client's next bytes are; `waiting` until a reply tells. */
export type SmtpPhase = 'command' | 'waiting' | 'auth' | 'data' | 'chunk';

export interface MailsOptions {
  readonly wire: Wire;
  readonly talk: Conversation;
  readonly inspector: MailInspector;
  readonly budget: HoldBudget;
  /** Bytes of a mail that wait for its verdict; the rest of a longer one is judged as it passes. */
  readonly holdBytes: number;
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
    if (!transfer.isHeld) {
      transfer.isPassed = true;
      talk.command(line, { kind: 'data' });
      return 'waiting';
    }
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
      this.#transfer.isPassed = true;
      return 'data';
    }
    const transfer = this.#transfer;
    if (transfer === undefined) return 'command';
    const held = transfer.release();
    if (reply.code === 354) {
      transfer.isPassed = true;
      for (const piece of held) if (piece.length > 0) wire.send('origin', piece);
      if (!transfer.hasEnded) return 'data';
      this.#expectContent();
      return 'command';
    }
    transfer.refusal = reply.raw;
    return transfer.hasEnded ? this.#refused(transfer, reply.raw) : 'data';
  }

  /** Bytes of DATA. */
  takeData(bytes: Buffer): Taken {
    const transfer = this.#transfer ?? this.#begin();
    const { content, wire, rest, lookAlike } = transfer.scanner.push(bytes);
    if (lookAlike !== undefined) return this.#smuggled(lookAlike);
    for (const chunk of content) transfer.content(chunk);
    if (rest !== undefined) transfer.end();
    const left = rest ?? bytes.subarray(bytes.length);
    if (transfer.isDropped) {
      transfer.release();
      return { phase: rest === undefined ? 'data' : this.#judged(transfer), rest: left };
    }
    if (!transfer.isHeld) {
      if (wire.length > 0) this.#options.wire.send('origin', wire);
      if (rest !== undefined) this.#expectContent();
      return { phase: rest === undefined ? 'data' : 'command', rest: left };
    }
    const hasRoom = transfer.hold(wire);
    if (rest === undefined && hasRoom) return { phase: 'data', rest: left };
    this.#options.talk.command(this.#dataLine, { kind: 'held-data' });
    return { phase: 'waiting', rest: left };
  }

  /** BDAT, when all replies before it have come; undefined when nobody can tell how many octets follow. */
  chunk(line: Buffer, argument: string): SmtpPhase | undefined {
    const chunk = parseChunk(argument);
    if (chunk === undefined || !this.#session.offered.has('CHUNKING')) return undefined;
    const transfer = this.#transfer ?? this.#begin();
    transfer.chunkBytes = chunk.bytes;
    transfer.isLastChunk = chunk.isLast;
    transfer.chunkLine = line;
    return chunk.bytes === 0 ? this.#chunkEnded(transfer, noBytes) : 'chunk';
  }

  /** Octets of BDAT. */
  takeChunk(bytes: Buffer): Taken {
    const transfer = this.#transfer ?? this.#begin();
    const octets = bytes.subarray(0, transfer.chunkBytes);
    const rest = bytes.subarray(octets.length);
    transfer.chunkBytes -= octets.length;
    transfer.content(octets);
    if (transfer.chunkBytes === 0) return { phase: this.#chunkEnded(transfer, octets), rest };
    this.#passOctets(transfer, octets);
    return { phase: 'chunk', rest };
  }

  /** The origin's answer to a mail, or one of several (LMTP answers for each recipient). */
  contentAnswered({ code, lines, raw }: SmtpReply): void {
    this.#options.wire.send('client', raw);
    this.#transfer?.finish({ complete: true, reply: { code, text: lines[0] ?? '' } });
    this.#close();
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
    const { inspector, budget, holdBytes } = this.#options;
    const holds = inspector.judges && this.#session.accepted > 0;
    const transfer = new SmtpTransfer(inspector.mail(), budget, holds ? holdBytes : 0);
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

  #passOctets(transfer: SmtpTransfer, octets: Buffer): void {
    if (transfer.isDropped) {
      transfer.release();
      return;
    }
    const line = transfer.chunkLine ?? noBytes;
    transfer.chunkLine = undefined;
    if (!transfer.isHeld) {
      if (line.length > 0) this.#passChunkLine(transfer, line);
      if (octets.length > 0) this.#options.wire.send('origin', octets);
      return;
    }
    transfer.hold(line);
    if (!transfer.hold(octets)) this.#passHeldChunks(transfer);
  }

  #passChunkLine(transfer: SmtpTransfer, line: Buffer): void {
    transfer.isPassed = true;
    this.#options.wire.send('origin', line);
    if (transfer.isLastChunk) this.#expectContent();
    else this.#options.talk.expect({ kind: 'chunk' });
  }

  /** All chunks so far, the present one last: the client has been answered for those before it. */
  #passHeldChunks(transfer: SmtpTransfer): void {
    const { talk, wire } = this.#options;
    for (let index = 0; index < transfer.heldChunks; index += 1) talk.expect({ kind: 'chunk', isSilent: true });
    transfer.isPassed = true;
    for (const piece of transfer.release()) if (piece.length > 0) wire.send('origin', piece);
    if (transfer.isLastChunk) this.#expectContent();
    else talk.expect({ kind: 'chunk' });
  }

  /** The end of a chunk: of the last one nothing that would complete it passes before the mail is judged. */
  #chunkEnded(transfer: SmtpTransfer, octets: Buffer): SmtpPhase {
    const { talk } = this.#options;
    if (transfer.isLastChunk) transfer.end();
    if (transfer.isDropped && (transfer.isLastChunk || transfer.isPassed)) return this.#judged(transfer);
    this.#passOctets(transfer, octets);
    if (transfer.isPassed) return 'command';
    if (transfer.isLastChunk) this.#passHeldChunks(transfer);
    else {
      transfer.heldChunks += 1;
      talk.own(answers.chunkTaken);
    }
    return 'command';
  }

  /** The end of a mail that is not passed on. */
  #judged(transfer: SmtpTransfer): SmtpPhase {
    const { verdict, refusal } = transfer;
    const { talk, wire } = this.#options;
    if (verdict.kind === 'reset') {
      this.cut('POLICY_RULE_RESET', verdict.rule.id);
      wire.abort('POLICY_RULE_RESET', verdict.rule.id);
      return 'waiting';
    }
    if (verdict.kind === 'allow') return this.#refused(transfer, refusal ?? noBytes);
    const code = verdict.kind === 'block' ? 'POLICY_RULE_BLOCK' : verdict.code;
    const detail = verdict.kind === 'block' ? verdict.rule.id : verdict.detail;
    const answer = answers.refused('550 5.7.1', code, detail);
    transfer.finish({ complete: true, reply: undefined, failure: code, detail });
    if (transfer.isPassed) {
      // The origin has a part of it and is never told of an end: without its connection it forgets the mail.
      talk.endNow(answer, code, detail);
      return 'waiting';
    }
    const replies = this.#session.protocol === 'lmtp' && transfer.hasEnded ? this.#session.accepted : 1;
    for (let index = 0; index < replies; index += 1) talk.own(answer);
    talk.command(Buffer.from('RSET\r\n'), { kind: 'reset', isSilent: true });
    this.#close();
    return 'command';
  }

  #refused(transfer: SmtpTransfer, raw: Buffer): SmtpPhase {
    const { wire } = this.#options;
    const replies = this.#session.protocol === 'lmtp' ? this.#session.accepted : 1;
    for (let index = 0; index < replies; index += 1) wire.send('client', raw);
    const text = raw.toString('latin1', 4).split('\r\n')[0] ?? '';
    transfer.finish({ complete: true, reply: { code: Number(raw.toString('latin1', 0, 3)), text } });
    this.#close();
    return 'command';
  }

  #smuggled(lookAlike: string): Taken {
    const code = 'CLIENT_SMTP_AMBIGUOUS';
    const detail = `${lookAlike} may end a mail`;
    this.cut(code, detail);
    this.#options.talk.endNow(answers.refused('521 5.5.2', code, detail), code, detail);
    return { phase: 'waiting', rest: noBytes };
  }
}
