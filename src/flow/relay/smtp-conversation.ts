import { ReplyReader, type SmtpReply } from '../../codec/smtp-reply.ts';
import type { FailureCode } from '../../core/failures.ts';
import { limits } from '../../core/limits.ts';
import type { Wire } from '../../core/relay.ts';
import { answers } from './smtp-answers.ts';

const quit: Buffer = Buffer.from('QUIT\r\n');
const goodbye = Buffer.from(`${answers.failed('session', 'GATEWAY_SHUTTING_DOWN', 'try again')}\r\n`);

/** What the next reply of the origin answers. */
export interface ExpectedReply {
  readonly kind:
    | 'greeting'
    | 'hello'
    | 'mail'
    | 'recipient'
    | 'data'
    | 'held-data'
    | 'content'
    | 'chunk'
    | 'auth'
    | 'starttls'
    | 'reset'
    | 'other';
  /** What the command said: name, address or mechanism. */
  readonly argument?: string;
  readonly verb?: string;
  /** The client has had an answer to this already, or has not asked. */
  readonly isSilent?: boolean;
}

/** A reply of the gateway in its place among those of the origin. */
interface OwnReply {
  readonly kind: 'own';
  readonly bytes: Buffer;
  /** The session ends with it. */
  readonly ending: { readonly code: FailureCode | undefined; readonly detail: string } | undefined;
}

export interface ReplyHandler {
  reply(reply: SmtpReply, expected: ExpectedReply): void;
  /** The origin has said what nothing asked for: the session is to end with this. */
  unsolicited(code: FailureCode, detail: string): void;
}

/**
 * The order of replies. They come in the order of commands (RFC 5321 section 4.1.4), so each is told from the next by its
 * place alone; an own reply takes its place in the queue and never overtakes one that is under way.
 */
export class Conversation {
  readonly #wire: Wire;
  readonly #handler: ReplyHandler;
  readonly #reader = new ReplyReader();
  readonly #queue: (ExpectedReply | OwnReply)[] = [{ kind: 'greeting' }];
  #isOver = false;

  constructor(wire: Wire, handler: ReplyHandler) {
    this.#wire = wire;
    this.#handler = handler;
  }

  /** Nothing is to be said any more. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Replies under way. */
  get outstanding(): number {
    return this.#queue.length;
  }

  /** So many that no further command may be passed on. */
  get isFull(): boolean {
    return this.#queue.length >= limits.smtpPipelineDepth;
  }

  /** Bytes of the origin that are no complete reply. */
  get pendingBytes(): number {
    return this.#reader.pendingBytes;
  }

  /** Passes a command on. */
  command(line: Buffer, expected: ExpectedReply): void {
    this.#queue.push(expected);
    this.#wire.send('origin', line);
  }

  expect(expected: ExpectedReply): void {
    this.#queue.push(expected);
  }

  /** Answers the client in the origin's place. */
  own(text: string): void {
    this.#queue.push({ kind: 'own', bytes: Buffer.from(`${text}\r\n`, 'latin1'), ending: undefined });
    this.#sayOwn();
  }

  /** Answers for the last time: the session ends with it. */
  end(text: string, code: FailureCode | undefined, detail: string): void {
    this.#queue.push({ kind: 'own', bytes: Buffer.from(`${text}\r\n`, 'latin1'), ending: { code, detail } });
    this.#sayOwn();
  }

  /** The same at once, whatever is under way: the origin will answer nothing any more. */
  endNow(text: string, code: FailureCode | undefined, detail: string): void {
    if (this.#isOver) return;
    this.#queue.length = 0;
    this.end(text, code, detail);
  }

  /** Ends the session between two commands, where neither side waits for anything: both are told. */
  leave(code: FailureCode, detail: string): void {
    this.#wire.send('origin', quit);
    this.#wire.end('origin');
    // A gateway that goes down cuts nothing here.
    this.endNow(answers.failed('session', code, detail), code === 'GATEWAY_SHUTTING_DOWN' ? undefined : code, detail);
  }

  /** Says nothing any more, but that the gateway goes down to whoever was not done when the time for that was over. */
  stop(code?: FailureCode): void {
    if (code === 'GATEWAY_SHUTTING_DOWN' && !this.#isOver) this.#wire.send('client', goodbye);
    this.#isOver = true;
  }

  receive(bytes: Buffer): void {
    this.#reader.push(bytes);
    for (let reply = this.#next(); reply !== undefined; reply = this.#next()) {
      // An own reply that still waits stands behind one of the origin.
      const expected = this.#queue.shift();
      if (expected === undefined || expected.kind === 'own') this.#unsolicited(reply);
      else this.#handler.reply(reply, expected);
      this.#sayOwn();
    }
    const { fault } = this.#reader;
    if (fault !== undefined && !this.#isOver) {
      const code = 'ORIGIN_SMTP_MALFORMED';
      this.endNow(answers.failed('session', code, fault), code, fault);
    }
  }

  /** A server may say at any time that it goes away (RFC 5321 section 3.8). */
  #unsolicited({ code }: SmtpReply): void {
    const failure = code === 421 ? 'ORIGIN_GONE' : 'ORIGIN_SMTP_UNSOLICITED';
    this.#handler.unsolicited(failure, `${code} that nothing had asked for`);
  }

  #next(): SmtpReply | undefined {
    return this.#isOver ? undefined : this.#reader.next();
  }

  #sayOwn(): void {
    while (!this.#isOver) {
      // Replies that the client does not get need not come first.
      const index = this.#queue.findIndex((next) => next.kind === 'own' || next.isSilent !== true);
      const next = this.#queue[index];
      if (next?.kind !== 'own') return;
      this.#queue.splice(index, 1);
      this.#wire.send('client', next.bytes);
      if (next.ending === undefined) continue;
      this.#isOver = true;
      this.#wire.close(next.ending.code, next.ending.detail);
    }
  }
}
