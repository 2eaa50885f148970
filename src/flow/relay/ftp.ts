import type { FtpCommand } from '../../codec/ftp-command.ts';
import { filterFeatures } from '../../codec/ftp-offer.ts';
import { type FtpReply, FtpReplyReader } from '../../codec/ftp-reply.ts';
import type { FailureCode } from '../../core/failures.ts';
import { limits } from '../../core/limits.ts';
import type { Relay, TlsEnd, TlsUpgrade } from '../../core/relay.ts';
import type { Side } from '../../core/side.ts';
import { type CutTransfer, FtpAbort } from './ftp-abort.ts';
import { ftpAnswers } from './ftp-answers.ts';
import { decideOnFtpCommand, type FtpAsked, type FtpDecision, type FtpExpected } from './ftp-commands.ts';
import { FtpDataOpening } from './ftp-data-opening.ts';
import { FtpLines } from './ftp-lines.ts';
import { type FtpOptions, mayClear } from './ftp-options.ts';
import { changeOfLegs, FtpSession } from './ftp-session.ts';
import { FtpTransfers, lineOf } from './ftp-transfers.ts';

const goodbye = lineOf(ftpAnswers.failed('session', 'GATEWAY_SHUTTING_DOWN', 'try again'));

/**
 * Relays an FTP session (RFC 959, 2228, 2428, 4217) verbatim but for what names data connections, which come through the
 * gateway. The greeting has passed. One command is under way at a time; those that were sent ahead wait, but for ABOR during a transfer.
 */
export function createFtpRelay(options: FtpOptions): Relay {
  return new FtpRelay(options);
}

class FtpRelay implements Relay {
  readonly tellsSilence = true;
  readonly #options: FtpOptions;
  readonly #transfers: FtpTransfers;
  #reader = new FtpReplyReader();
  readonly #lines: FtpLines;
  /** What the origin has not answered yet, in order. */
  readonly #asked: FtpAsked[] = [];
  /** TLS is being put over the legs. */
  #isBusy = false;
  #isOver = false;
  readonly #aborting: FtpAbort;
  readonly #opening: FtpDataOpening;
  readonly #session: FtpSession;

  constructor(options: FtpOptions) {
    this.#options = options;
    this.#lines = new FtpLines(options.wire);
    this.#session = new FtpSession(options.isSecure);
    this.#aborting = new FtpAbort(options.wire);
    this.#opening = new FtpDataOpening(options, {
      toClient: (line) => options.wire.send('client', line),
      toOrigin: (command, expected) => this.#ask(command, expected),
      opened: (channel) => this.#transfers.offer(channel),
      refused: (code, detail) => this.#refuse(code, detail),
      malformed: (detail) => this.#fail('ORIGIN_FTP_MALFORMED', detail),
      settled: () => this.#advance(),
    });
    this.#transfers = new FtpTransfers(options.inspector, {
      over: (answer, partial) => this.#over(answer, partial),
      cut: () => this.#aborting.ask(),
      reset: () => this.#abort('POLICY_RULE_RESET', 'by a rule'),
    });
  }

  receive(from: Side, bytes: Buffer): void {
    if (this.#isOver) return;
    if (from === 'client') this.#lines.push(bytes);
    else this.#hear(bytes);
    this.#advance();
  }

  end(from: Side): void {
    if (this.#isOver) return;
    const isQuitting = this.#asked.every(({ expected }) => expected === 'quit');
    if (isQuitting && from === 'client' && this.#asked.length > 0) return this.#options.wire.end('origin');
    if (isQuitting && !this.#transfers.isRunning && !this.#aborting.isPending) {
      this.#stop(undefined, '');
      return this.#options.wire.close();
    }
    const detail = 'in the middle of a session';
    if (from === 'client') this.#abort('CLIENT_GONE', detail);
    else this.#fail('ORIGIN_GONE', detail);
  }

  cut(code: FailureCode, detail: string): void {
    // Whoever was not done when the time was over is told as well, where that is no plaintext within TLS.
    if (code === 'GATEWAY_SHUTTING_DOWN' && !this.#isBusy) this.#options.wire.send('client', goodbye);
    this.#stop(code, detail);
  }

  timedOut(): void {
    // The control connection of a long transfer has nothing to say, nor has it been idle as soon as that is over.
    if (this.#transfers.hasMoved) return;
    const code = this.#asked.length > 0 ? 'ORIGIN_IDLE_TIMEOUT' : 'CLIENT_IDLE_TIMEOUT';
    this.#fail(code, 'no byte within the idle limit');
  }

  tick(nowMs: number): void {
    const cut = this.#aborting.tick(nowMs);
    if (cut === 'late') return this.#fail('ORIGIN_IDLE_TIMEOUT', 'no answer to ABOR');
    if (cut === undefined) return;
    this.#conclude(cut);
    this.#advance();
  }

  drain(): void {
    if (this.idle()) this.#fail('GATEWAY_SHUTTING_DOWN', 'try again');
  }

  idle(): boolean {
    return this.#asked.length === 0 && !this.#isHeld;
  }

  upgraded(): void {
    this.#isBusy = false;
    this.#session.secured();
    this.#transfers.offer(undefined);
    this.#advance();
  }

  upgradeFailed(code: FailureCode, detail: string): void {
    this.#fail(code, detail);
  }

  #hear(bytes: Buffer): void {
    this.#reader.push(bytes);
    for (let reply = this.#reader.next(); reply !== undefined && !this.#isOver; reply = this.#reader.next()) {
      this.#reply(reply);
    }
    if (this.#reader.fault !== undefined) this.#fail('ORIGIN_FTP_MALFORMED', this.#reader.fault);
  }

  #reply(reply: FtpReply): void {
    const { code, raw } = reply;
    const { wire } = this.#options;
    // A server may say at any time that it goes away.
    if (code === 421) {
      this.#stop('ORIGIN_GONE', '421');
      wire.send('client', raw);
      return wire.close(this.#asked.length > 0 ? 'ORIGIN_GONE' : undefined, '421');
    }
    const asked = this.#asked[0];
    if (asked === undefined && this.#aborting.isPending) return this.#aborted(code);
    if (asked === undefined || this.#isBusy || this.#opening.isBusy || this.#transfers.isAnswered) {
      return this.#fail('ORIGIN_FTP_UNSOLICITED', `${code} that nothing had asked for`);
    }
    if (asked.expected === 'transfer') {
      const answer = this.#transfers.answered(reply);
      if (answer !== undefined) wire.send('client', answer);
      return;
    }
    if (code < 200) return wire.send('client', raw);
    this.#asked.shift();
    this.#answered(reply, asked);
  }

  #answered(reply: FtpReply, { expected, command, owed }: FtpAsked): void {
    const { code, raw } = reply;
    const { wire } = this.#options;
    const isPositive = code < 300;
    this.#session.answered(expected, command, code);
    if (owed !== undefined) return wire.send('client', owed);
    if (expected === 'act') this.#transfers.acted(reply);
    const change = changeOfLegs(expected, reply);
    if (change !== undefined) return this.#change(change);
    if (expected === 'passive' && (code === 227 || code === 229)) return this.#opening.passive(reply, command);
    if (expected === 'restart' && isPositive) this.#session.restarted();
    if (expected === (isPositive ? 'restart' : 'active')) this.#transfers.offer(undefined);
    wire.send('client', expected === 'features' && isPositive ? filterFeatures(reply, mayClear(this.#options)) : raw);
  }

  #over(answer: Buffer, partial: string | undefined): void {
    this.#asked.shift();
    if (!this.#aborting.waits({ answer, partial })) this.#conclude({ answer, partial });
  }

  #aborted(code: number): void {
    const cut = this.#aborting.heard(code);
    if (cut === 'unasked') this.#fail('ORIGIN_FTP_UNSOLICITED', `${code} after ABOR`);
    else if (cut !== undefined) this.#conclude(cut);
  }

  /** What the origin has of an upload that was blocked goes first, where policy says so; then the client is answered. */
  #conclude({ answer, partial }: CutTransfer): void {
    if (partial === undefined || this.#options.blockedUpload === 'keep') this.#options.wire.send('client', answer);
    else this.#ask({ verb: 'DELE', argument: partial, line: lineOf(`DELE ${partial}`) }, 'other', answer);
    this.#advance();
  }

  #change(change: TlsUpgrade | TlsEnd): void {
    if (this.#reader.pendingBytes > 0) return this.#fail('ORIGIN_UPGRADE_INJECTION', 'bytes behind the consent');
    // They may have come in a packet of their own, before the answer.
    if (!this.#lines.isEmpty) return this.#fail('CLIENT_UPGRADE_INJECTION', 'bytes before the answer');
    this.#reader = new FtpReplyReader();
    this.#isBusy = true;
    this.#options.wire.upgrade(change);
  }

  /** No command is passed on now. */
  get #isHeld(): boolean {
    return this.#isBusy || this.#opening.isBusy || this.#aborting.isPending;
  }

  #advance(): void {
    while (!this.#isOver && this.#step()) {
      // Each step takes a line.
    }
    if (!this.#isOver) this.#lines.bound();
  }

  /** Takes one line; false when there is none that may be taken now. */
  #step(): boolean {
    if (this.#isHeld || (this.#asked.length > 0 && !this.#transfers.isMoving)) return false;
    const line = this.#lines.take();
    if (line === undefined) return false;
    if (line === 'too-long') {
      this.#fail('CLIENT_FTP_TOO_LARGE', `a line longer than ${limits.ftpLineBytes} bytes`);
      return false;
    }
    const { isSecure, isCleared, isProtected, needsProtection } = this.#session;
    const decision = decideOnFtpCommand(line, { ...this.#options, isSecure, isCleared, isProtected, needsProtection });
    const isUrgent = decision.kind === 'pass' && decision.command.verb === 'ABOR';
    if (this.#asked.length > 0 && !(isUrgent && this.#asked.length === 1) && decision.kind !== 'refuse') {
      this.#lines.putBack(line);
      return false;
    }
    this.#command(decision);
    return true;
  }

  #command(decision: FtpDecision): void {
    switch (decision.kind) {
      case 'pass':
        return this.#pass(decision.command, decision.expected);
      case 'auth':
      case 'unprotect':
        // Kept, they would be taken for protected by TLS (CVE-2011-0411), or the other way round.
        if (this.#lines.isEmpty) return this.#ask(decision.command, decision.kind);
        return this.#fail('CLIENT_UPGRADE_INJECTION', `bytes behind ${decision.command.verb}`);
      case 'active':
        return this.#opening.active(decision.command, decision.address);
      case 'transfer':
        return this.#transfer(decision.command, decision.direction);
      case 'answer':
        if (decision.code !== undefined) this.#options.refused(decision.code, decision.detail ?? '');
        return this.#options.wire.send('client', lineOf(decision.text));
      case 'refuse':
        return this.#fail(decision.code, decision.detail);
    }
  }

  #pass(command: FtpCommand, expected: FtpExpected): void {
    if (command.verb === 'ABOR') this.#transfers.abortAsked();
    const refusal = expected === 'act' ? this.#transfers.act(command, this.#session) : undefined;
    this.#askUnless(refusal, command, expected);
  }

  #transfer(command: FtpCommand, direction: 'upload' | 'download'): void {
    const refusal = this.#transfers.start(this.#session.transfer(command, direction, this.#transfers.mode));
    this.#askUnless(refusal, command, 'transfer');
  }

  #askUnless(refusal: string | undefined, command: FtpCommand, expected: FtpExpected): void {
    if (this.#isOver) return;
    if (refusal === undefined) this.#ask(command, expected);
    else this.#options.wire.send('client', lineOf(refusal));
  }

  #ask(command: FtpCommand, expected: FtpExpected, owed?: Buffer): void {
    this.#asked.push({ expected, command, owed });
    this.#options.wire.send('origin', command.line);
  }

  /** There is no data port, and the session goes on. */
  #refuse(code: FailureCode, detail: string): void {
    this.#options.refused(code, detail);
    this.#options.wire.send('client', lineOf(ftpAnswers.failed('port', code, detail)));
  }

  /** Says why, and ends the session. */
  #fail(code: FailureCode, detail: string): void {
    if (this.#isOver) return;
    // A transfer that was refused is answered for itself.
    const owed = this.#transfers.refusal ?? this.#aborting.owed ?? this.#asked[0]?.owed;
    this.#stop(code, detail);
    if (owed !== undefined) this.#options.wire.send('client', owed);
    this.#options.wire.send('client', lineOf(ftpAnswers.failed('session', code, detail)));
    // A gateway that goes down cuts nothing between commands.
    this.#options.wire.close(code === 'GATEWAY_SHUTTING_DOWN' ? undefined : code, detail);
  }

  #abort(code: FailureCode, detail: string): void {
    this.#stop(code, detail);
    this.#options.wire.abort(code, detail);
  }

  #stop(code: FailureCode | undefined, detail: string): void {
    this.#isOver = true;
    this.#lines.clear();
    this.#opening.cut();
    this.#transfers.cut(code, detail);
  }
}
