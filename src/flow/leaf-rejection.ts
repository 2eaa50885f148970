import type { Socket } from 'node:net';
import { FlowFailure } from '../core/failures.ts';
import type { Flow } from './flow.ts';
import { noteAcceptance, noteRejection } from './learned-bypass.ts';

/** How soon after its handshake a client that says nothing has to close for it to mean the leaf. */
const soonMs = 2_000;

/** Notes a handshake that failed at the leaf: by its alert, or by a close without one. */
export function noteFailedHandshake(flow: Flow, name: string, error: unknown): void {
  if (!(error instanceof FlowFailure)) return;
  if (error.code === 'CLIENT_LEAF_REJECTED') noteRejection(flow, name, 'alert', alertOf(error.detail));
  else if (error.code === 'CLIENT_GONE') noteRejection(flow, name, 'closed-in-handshake', '');
}

/**
 * Watches a client whose handshake is done: pins are often compared only then. What is returned is asked when the flow
 * is over, and notes whether the client took the leaf or left at once, without a byte and before the origin did.
 */
export function watchForSilence(flow: Flow, origin: Socket): (name: string) => void {
  const startMs = performance.now();
  let clientEndedMs: number | undefined;
  let originEnded = false;
  const onClientEnd = (): void => {
    if (!originEnded) clientEndedMs ??= performance.now();
  };
  flow.client.once('end', onClientEnd).once('close', onClientEnd);
  origin.once('end', () => {
    originEnded = clientEndedMs === undefined;
  });
  return (name) => {
    const { facts } = flow;
    if (facts.failure === 'CLIENT_LEAF_REJECTED') noteRejection(flow, name, 'alert', alertOf(facts.failureDetail));
    else if (facts.bytesFromClient > 0) noteAcceptance(flow, name);
    // An origin of HTTP/2 speaks without being asked.
    else if (
      (facts.bytesFromOrigin === 0 || facts.protocol === 'h2') &&
      clientEndedMs !== undefined &&
      clientEndedMs - startMs < soonMs
    ) {
      noteRejection(flow, name, 'closed-after-handshake', '');
    }
  };
}

/**
 * Notes what the client of a mail session made of the leaf behind STARTTLS: it took it, or it ended the session by an alert
 * or in the middle of the handshake. A close behind the handshake tells nothing: many programs look at the server alone.
 */
export function noteUpgradedClient(flow: Flow, host: string): void {
  const { facts, policy, hello, originSecurity } = flow;
  if (hello === undefined || (facts.protocol !== 'smtp' && facts.protocol !== 'lmtp')) return;
  const names = [facts.serverName, originSecurity?.name];
  if (names.some((name) => name !== undefined && policy.neverLearned(name))) return;
  if (facts.failure === 'CLIENT_LEAF_REJECTED') noteRejection(flow, host, 'alert', alertOf(facts.failureDetail));
  else if (facts.failure === 'CLIENT_GONE' && !facts.decrypted) noteRejection(flow, host, 'closed-in-handshake', '');
  else if (facts.decrypted && facts.transactions > 0) noteAcceptance(flow, host);
}

/** `ERR_SSL_TLSV1_ALERT_UNKNOWN_CA` and `ERR_SSL_SSL/TLS_ALERT_BAD_CERTIFICATE` by the name of RFC 8446 section 6. */
function alertOf(code: string): string {
  const [, name = ''] = /ALERT_(\w+)$/.exec(code) ?? [];
  return name.toLowerCase();
}
