import { FlowFailure } from '../core/failures.ts';
import { limits } from '../core/limits.ts';
import type { Relay, Wire } from '../core/relay.ts';
import type { Flow } from './flow.ts';
import { scannersOf } from './flow-scanners.ts';
import { inspectMail } from './inspect-mail.ts';
import { isMailPort, tellingPort } from './mail-ports.ts';
import { spoolIn } from './mail-spool.ts';
import { ftpAnswers } from './relay/ftp-answers.ts';
import { lineOf } from './relay/ftp-transfers.ts';
import { HeldBudget, mostOf } from './relay/held-budget.ts';
import { createSmtpRelay } from './relay/smtp.ts';
import { HoldShare } from './relay/smtp-hold.ts';

/** All relays of a process share what mails may hold. */
const budget = new HeldBudget();
const most = mostOf(limits.mailHeldBytes);

export interface MailRelayOptions {
  readonly flow: Flow;
  readonly wire: Wire;
  /** What the greeting looks like. */
  readonly guess: string;
  readonly canUpgrade: boolean;
  /** The relay of a client that speaks FTP, behind the greeting; or why there is none, and it would pass unread. */
  readonly files: (() => Relay) | string;
  /** Lets that relay go on. */
  readonly replace: (next: Relay) => void;
}

/** The relay of a mail session over the legs of a flow. */
export function mailRelay({ flow, wire, guess, canUpgrade, files, replace }: MailRelayOptions): Relay {
  const { facts, policy, plane } = flow;
  const { mail } = policy.document;
  refuseOtherProtocols(flow, greetedNames);
  facts.protocol = guess;
  return createSmtpRelay({
    wire,
    inspector: inspectMail({
      flow: facts,
      rules: policy.rules,
      recorder: plane.recorder,
      headers: mail.headers,
      scanners: () => scannersOf(flow).filter(({ policy: { mode } }) => mode !== 'response'),
    }),
    hold: {
      budget: new HoldShare(budget, facts.shareKey, most),
      holdBytes: mail.holdBytes,
      spool:
        mail.spool.mailBytes === 0
          ? undefined
          : { open: spoolIn(mail.spool, facts.shareKey), mailBytes: mail.spool.mailBytes },
    },
    canUpgrade,
    requireTls: mail.requireTls,
    isSecure: facts.decrypted,
    xclient: mail.xclient,
    isMailPort: isMailPort(tellingPort(flow)),
    spoken: (protocol) => {
      // What was let in as a client of FTP is one of that alone.
      refuseOtherProtocols(flow, mailNames);
      facts.protocol = protocol;
    },
    notMail: (bytes) => {
      if (typeof files === 'string') return passUnreadFiles(flow, wire, files, bytes);
      const relay = files();
      replace(relay);
      relay.receive('client', bytes);
    },
  });
}

const mailNames = /^(?:e?smtp|lmtp)$/;
/** The same, and of FTP, whose servers greet alike: the client's first command tells which of them it speaks. */
const greetedNames = /^(?:e?smtp|lmtp|ftps?(?:-data)?)$/;

/** A client that offered protocols in TLS, none of these, meant to speak to somebody else (ALPACA). */
function refuseOtherProtocols({ facts, hello }: Flow, names: RegExp): void {
  const offered = facts.decrypted ? (hello?.alpn ?? []) : [];
  if (offered.length === 0 || offered.some((protocol) => names.test(protocol))) return;
  throw new FlowFailure('CLIENT_ALPN_UNSUPPORTED', offered.join(' ').slice(0, 100));
}

/** A session of files whose data connections cannot be led through the gateway: the record says so, and policy may refuse it. */
function passUnreadFiles({ facts, policy }: Flow, wire: Wire, reason: string, bytes: Buffer): void {
  const { opaque, files } = policy.document;
  facts.protocol = 'ftp';
  if (files.unread === 'refuse') {
    facts.decision = { kind: 'refuse', reason };
    wire.send('client', lineOf(ftpAnswers.failed('session', 'POLICY_REFUSED', reason)));
    return wire.close('POLICY_REFUSED', reason);
  }
  if (opaque === 'refuse') return wire.abort('CLIENT_NOT_TLS', reason);
  facts.decision = { kind: 'bypass', reason };
  wire.upgrade({ kind: 'opaque', protocol: 'ftp' });
  wire.send('origin', bytes);
}
