import type { MailInspector } from '../../core/mail.ts';
import type { Wire } from '../../core/relay.ts';
import type { HoldLimits } from './smtp-held-mail.ts';

/** What a mail relay is given. */
export interface SmtpOptions {
  readonly wire: Wire;
  readonly inspector: MailInspector;
  readonly hold: HoldLimits;
  /** Both legs are plain and can be put under TLS. */
  readonly canUpgrade: boolean;
  /** Policy: nothing but the way to TLS passes in plaintext. */
  readonly requireTls: boolean;
  readonly isSecure: boolean;
  /** Policy: XCLIENT and XFORWARD pass. */
  readonly xclient: boolean;
  /** The origin is at a port of mail: what the client says first makes it nothing else. */
  readonly isMailPort: boolean;
  /** What the client says is no mail (FTP greets alike): another relay takes over with these bytes, or the flow ends. */
  readonly notMail: (bytes: Buffer) => void;
  /** Told once the client has said which protocol it is. */
  readonly spoken: (protocol: 'smtp' | 'lmtp') => void;
}
