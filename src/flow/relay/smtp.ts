import type { SmtpCommand } from '../../codec/smtp-command.ts';
import type { SmtpReply } from '../../codec/smtp-reply.ts';
import { asFailure, type FailureCode } from '../../core/failures.ts';
import { limits } from '../../core/limits.ts';
import type { Relay, Wire } from '../../core/relay.ts';
import type { Side } from '../../core/side.ts';
import { answers } from './smtp-answers.ts';
import { decideOnCommand, saysMail } from './smtp-commands.ts';
import { Conversation, type ExpectedReply, type ReplyHandler } from './smtp-conversation.ts';
import { helloAnswered } from './smtp-hello.ts';
import { SmtpInput } from './smtp-input.ts';
import { SmtpMails, type SmtpPhase } from './smtp-mails.ts';
import type { SmtpOptions } from './smtp-options.ts';
import { SmtpSession } from './smtp-session.ts';

/** Relays a mail session verbatim (RFC 5321, RFC 2033) but for offers and replies that are the gateway's own. */
export function createSmtpRelay(options: SmtpOptions): Relay {
  return new SmtpRelay(options);
}

class SmtpRelay implements Relay, ReplyHandler {
  readonly tellsSilence = true;
  readonly #options: SmtpOptions;
  readonly #wire: Wire;
  readonly #mails: SmtpMails;
  #talk: Conversation;
  #session = new SmtpSession();
  #phase: SmtpPhase = 'command';
  readonly #input = new SmtpInput();
  /** A DATA or BDAT that waits for the replies before it. */
  #waiting: { readonly line: Buffer; readonly command: SmtpCommand } | undefined;
  #isSecure: boolean;
  #greeting = '';
  /** STARTTLS was passed on: nothing of the client is read until the origin has answered. */
  #isTlsAsked = false;
  #isUpgrading = false;

  constructor(options: SmtpOptions) {
    this.#options = options;
    this.#wire = options.wire;
    this.#isSecure = options.isSecure;
    this.#talk = new Conversation(options.wire, this);
    const { wire, inspector, hold } = options;
    const later = (call: () => SmtpPhase | undefined): void => this.#later(call);
    this.#mails = new SmtpMails({ wire, inspector, hold, talk: this.#talk, later }, this.#session);
  }

  receive(from: Side, bytes: Buffer): void {
    if (this.#talk.isOver) return;
    if (from === 'origin') this.#talk.receive(bytes);
    else this.#input.push(bytes);
    this.#advance();
  }

  end(from: Side, clean: boolean): void {
    if (this.#talk.isOver) return;
    const isBetweenCommands = clean && this.#phase === 'command' && !this.#mails.isOpen;
    if (isBetweenCommands && this.#talk.outstanding === 0) {
      this.#talk.stop();
      return this.#wire.close();
    }
    // Replies are still to come, and the client may wait for them.
    if (isBetweenCommands && from === 'client') return this.#wire.end('origin');
    const detail = 'in the middle of a mail session';
    this.#mails.cut(from === 'client' ? 'CLIENT_GONE' : 'ORIGIN_GONE', detail);
    if (from === 'client') return this.#wire.abort('CLIENT_GONE', detail);
    this.#talk.endNow(answers.failed('session', 'ORIGIN_GONE', detail), 'ORIGIN_GONE', detail);
  }

  cut(code: FailureCode, detail: string): void {
    this.#talk.stop(this.#isUpgrading ? undefined : code);
    this.#mails.cut(code, detail);
  }

  timedOut(): void {
    if (this.idle()) return this.#talk.leave('CLIENT_IDLE_TIMEOUT', 'no command within the idle limit');
    const code = this.#talk.outstanding > 0 ? 'ORIGIN_IDLE_TIMEOUT' : 'CLIENT_IDLE_TIMEOUT';
    this.#mails.cut(code);
    this.#talk.endNow(answers.failed('session', code, 'no byte within the idle limit'), code, '');
  }

  drain(): void {
    if (this.idle()) this.#talk.leave('GATEWAY_SHUTTING_DOWN', 'try again');
  }

  idle(): boolean {
    return this.#phase === 'command' && this.#talk.outstanding === 0 && !this.#mails.isOpen && !this.#isUpgrading;
  }

  drained(side: Side): void {
    if (side === 'origin') this.#mails.drained();
  }

  upgraded(): void {
    this.#isUpgrading = false;
    this.#isTlsAsked = false;
    this.#isSecure = true;
    this.#session = new SmtpSession();
    this.#mails.session = this.#session;
    this.#phase = 'command';
    this.#input.pause(this.#wire, false);
  }

  upgradeFailed(code: FailureCode, detail: string): void {
    this.#talk.endNow(answers.failed('starttls', code, detail), code, detail);
  }

  unsolicited(code: FailureCode, detail: string): void {
    this.#mails.cut(code, detail);
    this.#talk.endNow(answers.failed('session', code, detail), code, detail);
  }

  reply(reply: SmtpReply, expected: ExpectedReply): void {
    const { code, lines, raw } = reply;
    const isPositive = code < 300;
    const { argument = '' } = expected;
    switch (expected.kind) {
      case 'greeting':
        this.#greeting = lines[0] ?? '';
        break;
      case 'hello':
        return helloAnswered(reply, expected, this.#options, {
          session: this.#session,
          talk: this.#talk,
          isSecure: this.#isSecure,
        });
      case 'mail':
        if (isPositive) this.#session.mailAccepted(argument);
        break;
      case 'recipient':
        this.#session.recipientAnswered(argument, isPositive);
        break;
      case 'auth':
        if (code === 235) this.#session.authSucceeded();
        this.#phase = code === 334 ? 'auth' : 'command';
        break;
      case 'starttls':
        if (code === 220) return this.#upgrade(raw);
        this.#isTlsAsked = false;
        this.#phase = 'command';
        break;
      case 'data':
      case 'held-data':
        this.#phase = this.#mails.dataAnswered(reply, expected.kind === 'held-data');
        return;
      case 'content':
        return this.#mails.contentAnswered(reply);
      case 'reset':
        if (isPositive) this.#session.resetMail();
        break;
      case 'chunk':
      case 'other':
        break;
    }
    if (expected.isSilent !== true) this.#wire.send('client', raw);
  }

  #upgrade(accept: Buffer): void {
    const injected = this.#talk.pendingBytes > 0 || this.#talk.outstanding > 0;
    if (injected) return this.upgradeFailed('ORIGIN_UPGRADE_INJECTION', 'bytes behind the reply to STARTTLS');
    this.#isUpgrading = true;
    const [originName] = /^\S+/.exec(this.#greeting) ?? [];
    const { again } = this.#session;
    this.#wire.upgrade({ kind: 'tls', accept, originName, alpn: ['smtp', 'esmtp', 'lmtp'], again });
  }

  /** Goes on with a mail that had to wait for something else than its peers. */
  #later(call: () => SmtpPhase | undefined): void {
    if (this.#talk.isOver) return;
    try {
      const phase = call();
      if (phase !== undefined) this.#phase = phase;
      this.#advance();
    } catch (error) {
      const { code, detail } = asFailure(error);
      this.cut(code, detail);
      this.#wire.abort(code, detail);
    }
  }

  /** Takes what the client has sent as far as replies allow. */
  #advance(): void {
    while (!this.#talk.isOver && this.#step()) {
      // Each step takes a line or a run of a mail.
    }
    if (this.#talk.isOver || this.#isUpgrading) return;
    const isAhead = this.#input.length > limits.smtpAheadBytes;
    this.#input.pause(
      this.#wire,
      this.#isTlsAsked || this.#mails.isStalled || (isAhead && (this.#phase !== 'command' || this.#talk.isFull)),
    );
  }

  /** One line or one run of a mail; false when there is nothing to take now. */
  #step(): boolean {
    switch (this.#phase) {
      case 'waiting':
        return this.#beginWaitingMail();
      case 'command': {
        if (this.#talk.isFull) return false;
        const line = this.#takeLine(limits.smtpCommandBytes);
        if (line !== undefined) this.#command(line);
        return line !== undefined;
      }
      case 'auth': {
        const line = this.#takeLine(limits.smtpAuthLineBytes);
        if (line === undefined) return false;
        this.#session.authContinues(line.toString('latin1').trimEnd());
        this.#send(line, { kind: 'auth' });
        return true;
      }
      case 'data':
      case 'chunk': {
        if (this.#input.length === 0) return false;
        const { phase, rest } =
          this.#phase === 'data' ? this.#mails.takeData(this.#input.bytes) : this.#mails.takeChunk(this.#input.bytes);
        this.#phase = phase;
        this.#input.bytes = rest;
        return true;
      }
    }
  }

  #command(line: Buffer): void {
    const { canUpgrade, requireTls, xclient, isMailPort } = this.#options;
    const decision = decideOnCommand(line, {
      isMail: isMailPort || saysMail(this.#greeting) || this.#session.helo !== '' || this.#talk.outstanding > 0,
      needsTls: requireTls && !this.#isSecure,
      canUpgrade: canUpgrade && !this.#isSecure,
      isMailOpen: this.#mails.isOpen,
      xclient,
    });
    switch (decision.kind) {
      case 'pass':
        return this.#talk.command(line, decision.expected);
      case 'restart':
        this.#mails.cut(undefined, 'given up by the client');
        return this.#talk.command(line, decision.expected);
      case 'mail':
        return this.#mail(line, decision.command);
      case 'auth':
        this.#session.authBegins(decision.argument);
        return this.#send(line, { kind: 'auth' });
      case 'starttls':
        return this.#starttls(line);
      case 'answer':
        return this.#talk.own(decision.text);
      case 'refuse':
        return this.#refuse(decision.code, decision.detail);
      case 'not-mail':
        return this.#options.notMail(Buffer.concat([line, this.#input.takeAll()]));
    }
  }

  /** What is inspected begins when every reply before it has come: only then is the envelope known. */
  #mail(line: Buffer, command: SmtpCommand): void {
    this.#phase = 'waiting';
    if (this.#options.inspector.judges || command.verb === 'BDAT') this.#waiting = { line, command };
    else this.#phase = this.#mails.data(line);
  }

  #beginWaitingMail(): boolean {
    const waiting = this.#waiting;
    if (waiting === undefined || (this.#talk.outstanding > 0 && !this.#mails.isOpen)) return false;
    this.#waiting = undefined;
    const { line, command } = waiting;
    const phase = command.verb === 'DATA' ? this.#mails.data(line) : this.#mails.chunk(line, command.argument);
    if (phase === undefined) this.#refuse('CLIENT_SMTP_AMBIGUOUS', 'octets that nobody can count', 'command');
    else this.#phase = phase;
    return true;
  }

  #starttls(line: Buffer): void {
    // Kept, they would be taken for protected by TLS (CVE-2011-0411).
    if (this.#input.length > 0) return this.#refuse('CLIENT_UPGRADE_INJECTION', 'bytes behind STARTTLS');
    this.#isTlsAsked = true;
    this.#send(line, { kind: 'starttls' });
  }

  /** Passes a line on whose reply decides what follows it. */
  #send(line: Buffer, expected: ExpectedReply): void {
    this.#phase = 'waiting';
    this.#talk.command(line, expected);
  }

  #takeLine(mostBytes: number): Buffer | undefined {
    const line = this.#input.takeLine(mostBytes);
    if (line !== 'too-long') return line;
    this.#refuse('CLIENT_SMTP_TOO_LARGE', `a line longer than ${mostBytes} bytes`);
    return undefined;
  }

  #refuse(code: FailureCode, detail: string, moment: 'session' | 'command' = 'session'): void {
    this.#mails.cut(code, detail);
    this.#phase = 'waiting';
    this.#input.clear();
    this.#talk.end(answers.failed(moment, code, detail), code, detail);
  }
}
