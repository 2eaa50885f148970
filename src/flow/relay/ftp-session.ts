import type { FtpCommand } from '../../codec/ftp-command.ts';
import type { FtpReply } from '../../codec/ftp-reply.ts';
import type { TlsEnd, TlsUpgrade } from '../../core/relay.ts';
import type { TransferRequest } from '../../core/transfer.ts';
import type { FtpExpected } from './ftp-commands.ts';

/** What an answer has both control legs go over to. */
export function changeOfLegs(expected: FtpExpected, { code, raw }: FtpReply): TlsUpgrade | TlsEnd | undefined {
  if (expected === 'unprotect' && code < 300) return { kind: 'clear', accept: raw };
  if (expected !== 'auth' || code !== 234) return undefined;
  return { kind: 'tls', accept: raw, originName: undefined, alpn: ['ftp', 'ftps', 'ftp-data'] };
}

/** What a session has agreed on so far. */
export class FtpSession {
  /** TLS on both control legs. */
  isSecure: boolean;
  /** TLS on both control legs has ended by CCC; what it protected until then holds. */
  isCleared = false;
  #isClearing = false;
  /** PROT P is in force. */
  isProtected: boolean;
  /** Nobody has said since AUTH SSL whether data are protected. */
  needsProtection = false;
  /** Who has logged in; empty before. */
  user = '';
  #claimedUser = '';
  #offset = 0;
  #isAuthSsl = false;

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

  /** REIN, which passes without TLS alone. */
  restarted(): void {
    this.isProtected = this.isSecure;
    this.forget();
  }

  /** Both legs have been put under TLS; data are not yet (RFC 4217 section 9). Or TLS has ended on both. */
  secured(): void {
    if (this.#isClearing) {
      this.isCleared = true;
      this.#isClearing = false;
      return;
    }
    this.isSecure = true;
    this.isProtected = false;
    this.needsProtection = this.#isAuthSsl;
    this.forget();
  }

  answered(expected: FtpExpected, command: FtpCommand | undefined, code: number): void {
    const isPositive = code < 300;
    if (expected === 'login') {
      if (command?.verb === 'USER') this.#claimedUser = command.argument;
      if (isPositive) this.user = this.#claimedUser;
    }
    if (expected === 'unprotect') this.#isClearing = isPositive;
    if (expected === 'auth') this.#isAuthSsl = /^SSL$/i.test(command?.argument ?? '');
    if (isPositive && (expected === 'clear' || expected === 'private')) {
      this.isProtected = expected === 'private';
      this.needsProtection = false;
    }
    if (command?.verb === 'REST' && code === 350) this.#offset = Number(command.argument) || 0;
  }

  /** The transfer that is asked for next; once for each, since REST holds for one. */
  transfer(
    { verb, argument }: FtpCommand,
    direction: 'upload' | 'download',
    mode: 'passive' | 'active' = 'passive',
  ): TransferRequest {
    const { user, isProtected, isCleared } = this;
    const offset = this.#offset;
    this.#offset = 0;
    return { command: verb, path: argument, direction, user, offset, isProtected, isCleared, mode };
  }
}
