import type { FtpCommand } from '../../codec/ftp-command.ts';
import type { FtpExpected } from './ftp-commands.ts';

/** What a session has agreed on so far. */
export class FtpSession {
  /** TLS on both control legs. */
  isSecure: boolean;
  /** PROT P is in force. */
  isProtected: boolean;
  /** Who has logged in; empty before. */
  user = '';
  #claimedUser = '';
  #offset = 0;

  constructor(isSecure: boolean) {
    this.isSecure = isSecure;
    // Where TLS is there from the start, data are protected too unless the client asks otherwise.
    this.isProtected = isSecure;
  }

  /** Nothing that was said before counts any more. */
  forget(): void {
    this.user = '';
    this.#claimedUser = '';
    this.#offset = 0;
  }

  /** Both legs have been put under TLS; data are not yet (RFC 4217 section 9). */
  secured(): void {
    this.isSecure = true;
    this.isProtected = false;
    this.forget();
  }

  answered(expected: FtpExpected, command: FtpCommand | undefined, code: number): void {
    const isPositive = code < 300;
    if (expected === 'login') {
      if (command?.verb === 'USER') this.#claimedUser = command.argument;
      if (isPositive) this.user = this.#claimedUser;
    }
    if (isPositive && (expected === 'clear' || expected === 'private')) this.isProtected = expected === 'private';
    if (command?.verb === 'REST' && code === 350) this.#offset = Number(command.argument) || 0;
  }

  /** Where the next transfer begins; asked once for each. */
  takeOffset(): number {
    const offset = this.#offset;
    this.#offset = 0;
    return offset;
  }
}
