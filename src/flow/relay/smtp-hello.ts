import { filterOffer } from '../../codec/smtp-offer.ts';
import type { SmtpReply } from '../../codec/smtp-reply.ts';
import { answers } from './smtp-answers.ts';
import type { Conversation, ExpectedReply } from './smtp-conversation.ts';
import type { SmtpOptions } from './smtp-options.ts';
import type { SmtpSession } from './smtp-session.ts';

/** The origin has answered EHLO, HELO or LHLO: what it offers reaches the client as far as it is known here. */
export function helloAnswered(
  reply: SmtpReply,
  { verb = '', argument = '' }: ExpectedReply,
  { wire, canUpgrade, requireTls, xclient, spoken }: SmtpOptions,
  { session, talk, isSecure }: { session: SmtpSession; talk: Conversation; isSecure: boolean },
): void {
  if (reply.code >= 300) return wire.send('client', reply.raw);
  session.greeted(verb, argument);
  spoken(session.protocol);
  const offer = filterOffer(reply, { starttls: canUpgrade && !isSecure, xclient });
  session.offered = offer.keywords;
  session.removedOffers = offer.removed;
  if (requireTls && !isSecure && verb !== 'HELO' && !offer.keywords.has('STARTTLS')) {
    const detail = 'the origin offers no STARTTLS';
    return talk.endNow(answers.failed('session', 'POLICY_TLS_REQUIRED', detail), 'POLICY_TLS_REQUIRED', detail);
  }
  wire.send('client', offer.raw);
}
