import { authIdentity } from '../../codec/smtp-auth.ts';
import { type MailPath, parsePath } from '../../codec/smtp-command.ts';
import { limits } from '../../core/limits.ts';
import type { MailEnvelope } from '../../core/mail.ts';

/** What a mail session knows: all of it is forgotten when TLS begins (RFC 3207 section 4.2). */
export class SmtpSession {
  protocol: 'smtp' | 'lmtp' = 'smtp';
  helo = '';
  /** What the client may use, as the origin has offered it. */
  offered: ReadonlySet<string> = new Set();
  removedOffers: readonly string[] = [];
  /** AUTH under way. */
  #mechanism = '';
  #identity: string | undefined;
  #step = 0;
  /** AUTH that succeeded. */
  #authMechanism: string | undefined;
  #authIdentity: string | undefined;
  #from = '';
  #to: string[] = [];
  #accepted = 0;
  #refused = 0;

  /** Recipients that the origin has accepted for the mail under way. */
  get accepted(): number {
    return this.#accepted;
  }

  /** What was said up to STARTTLS, as far as it matters: TLS makes the server forget all else. */
  get again(): readonly Buffer[] {
    const verb = this.protocol === 'lmtp' ? 'LHLO' : 'EHLO';
    return [Buffer.from(`${verb} ${this.helo}\r\n`, 'latin1'), Buffer.from('STARTTLS\r\n')];
  }

  greeted(verb: string, name: string): void {
    this.protocol = verb === 'LHLO' ? 'lmtp' : 'smtp';
    this.helo = name;
    this.resetMail();
  }

  /** AUTH begins, perhaps with the first of the client's messages (RFC 4954 section 4). */
  authBegins(argument: string): void {
    const [mechanism = '', initial] = argument.split(/ +/);
    this.#mechanism = mechanism.toUpperCase();
    this.#identity = undefined;
    this.#step = 0;
    if (initial !== undefined) this.authContinues(initial);
  }

  authContinues(line: string): void {
    this.#identity ??= authIdentity(this.#mechanism, this.#step, line);
    this.#step += 1;
  }

  authSucceeded(): void {
    this.#authMechanism = this.#mechanism;
    this.#authIdentity = this.#identity;
  }

  mailAccepted(argument: string): void {
    this.resetMail();
    this.#from = addressOf(parsePath(argument, 'FROM'), argument);
  }

  recipientAnswered(argument: string, isAccepted: boolean): void {
    if (!isAccepted) {
      this.#refused += 1;
      return;
    }
    this.#accepted += 1;
    if (this.#to.length < limits.mailRecipients) this.#to.push(addressOf(parsePath(argument, 'TO'), argument));
  }

  resetMail(): void {
    this.#from = '';
    this.#to = [];
    this.#accepted = 0;
    this.#refused = 0;
  }

  envelope(): MailEnvelope {
    return {
      protocol: this.protocol,
      helo: this.helo,
      authMechanism: this.#authMechanism,
      authIdentity: this.#authIdentity,
      from: this.#from,
      to: this.#to,
      accepted: this.#accepted,
      refused: this.#refused,
      removedOffers: this.removedOffers,
    };
  }
}

/** An origin may accept what nobody else can read; then it is shown as it was sent. */
function addressOf(path: MailPath | undefined, argument: string): string {
  return path?.address ?? argument;
}
