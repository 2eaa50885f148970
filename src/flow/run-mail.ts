import { limits } from '../core/limits.ts';
import type { Relay, Wire } from '../core/relay.ts';
import type { Flow } from './flow.ts';
import { inspectMail } from './inspect-mail.ts';
import { createSmtpRelay } from './relay/smtp.ts';
import { HoldBudget } from './relay/smtp-hold.ts';

/** All relays of a process share what mails may hold. */
const budget = new HoldBudget(limits.mailHeldBytes);

/** The relay of a mail session over the legs of a flow. */
export function mailRelay(flow: Flow, wire: Wire, canUpgrade: boolean): Relay {
  const { facts, policy, plane } = flow;
  const { mail, opaque } = policy.document;
  facts.protocol = 'smtp';
  return createSmtpRelay({
    wire,
    inspector: inspectMail({ flow: facts, rules: policy.rules, recorder: plane.recorder }),
    budget,
    holdBytes: mail.holdBytes,
    canUpgrade,
    requireTls: mail.requireTls,
    isSecure: facts.decrypted,
    xclient: mail.xclient,
    spoken: (protocol) => {
      facts.protocol = protocol;
    },
    notMail: (bytes) => {
      if (opaque === 'refuse') return wire.abort('CLIENT_NOT_TLS', 'ftp');
      facts.protocol = 'ftp';
      wire.upgrade({ kind: 'opaque', protocol: 'ftp' });
      wire.send('origin', bytes);
    },
  });
}

/** Ports of mail: submission, transfer, LMTP, and what is often used in their place. */
const mailPorts: ReadonlySet<number> = new Set([24, 25, 465, 587, 2525]);

/** Whether a recognised protocol is mail. FTP greets alike and says less: there the port counts too. */
export function isMail({ facts }: Flow, protocol: string): boolean {
  return protocol === 'smtp' || (protocol === 'ftp' && mailPorts.has(facts.destination?.port ?? 0));
}
