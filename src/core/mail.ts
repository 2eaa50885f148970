import type { FailureCode } from './failures.ts';
import type { Verdict } from './verdict.ts';

/** What a mail session has told when a mail begins. Texts as sent, latin1. */
export interface MailEnvelope {
  readonly protocol: 'smtp' | 'lmtp';
  /** What the client calls itself. */
  readonly helo: string;
  /** Mechanism and identity of AUTH, when it succeeded. */
  readonly authMechanism: string | undefined;
  readonly authIdentity: string | undefined;
  /** Empty for the null path. */
  readonly from: string;
  /** Accepted by the origin; at most `limits.mailRecipients`. */
  readonly to: readonly string[];
  /** Recipients that the origin accepted and refused. */
  readonly accepted: number;
  readonly refused: number;
  /** What the origin offered and the gateway removed. */
  readonly removedOffers: readonly string[];
}

/** How a mail ended. */
export interface MailOutcome {
  /** All of it came, and the origin answered or a rule did. */
  readonly complete: boolean;
  readonly failure: FailureCode | undefined;
  readonly detail: string;
  /** First line of the origin's answer to the mail; undefined when it never got it. */
  readonly reply: { readonly code: number; readonly text: string } | undefined;
  /** Bytes of the mail without transparency dots. */
  readonly bytes: number;
}

/**
 * One mail as the relay reports it, in wire order. Each call that returns a verdict is synchronous and comes before the
 * origin could take the mail; anything but `allow` ends the mail. A chunk may be kept, and changed in place, as long as
 * verdicts ask for its bytes to be kept (`keepBytes`). `changes` of the last verdict apply to the head.
 */
export interface Mail {
  envelope(envelope: MailEnvelope): Verdict;
  content(chunk: Buffer): Verdict;
  end(): Verdict;
  /** The first bytes go on: changes of the head come too late from now on. */
  released?(): void;
  /** Called exactly once, last. */
  finish(outcome: MailOutcome): void;
}

/** Makes a mail per DATA or first BDAT. */
export interface MailInspector {
  /** Whether rules look at mails: then a mail waits for its verdict. */
  readonly judges: boolean;
  mail(): Mail;
}
