import { type FailureCode, FlowFailure } from '../core/failures.ts';
import { certificateRefusal, failureOfTlsError, type TlsFailure } from '../pki/tls-failure.ts';
import type { Flow } from './flow.ts';
import { passesUnread } from './origin-failure.ts';
import { OriginCheckFailure, type OriginLeg } from './origin-leg.ts';

const code: FailureCode = 'ORIGIN_CLIENT_CERT_REQUIRED';

/** An origin that asked a short while ago is not dialled to be asked again, where policy passes such flows on unread. */
export function refuseKnownDemand(flow: Flow): void {
  if (!flow.plane.demands.knows(flow.facts, Date.now())) return;
  if (passesUnread(flow, code)) throw new FlowFailure(code, 'the origin asked for a certificate before');
}

/**
 * An origin that asks for a certificate of its client and is offered none: where policy passes such flows on unread, this
 * one is, before a byte of the client has gone anywhere. Else the origin may do without. Rejects with OriginCheckFailure.
 */
export function refuseDemand(flow: Flow, leg: OriginLeg): void {
  if (leg.tls.clientCertificate !== 'asked' || !passesUnread(flow, code)) return;
  throw checkFailure(leg, { code, detail: 'the origin asks for a certificate of its client' });
}

/** What an origin says about a certificate while no pump listens to its leg. */
export interface DemandWatch {
  /** Rejects with OriginCheckFailure what was heard before the client has an answer. */
  refuse(): void;
  /** Names the failure of a flow that is over by what was heard. */
  note(flow: Flow): void;
}

/** In TLS 1.3 an origin judges its client after the handshake: only then it says that it wants, or refuses, a certificate. */
export function watchDemand(leg: OriginLeg): DemandWatch {
  let heard: TlsFailure | undefined;
  leg.socket.on('error', (error) => {
    heard ??= demandOf(leg, error);
  });
  return {
    refuse: () => {
      if (heard !== undefined) throw checkFailure(leg, heard);
    },
    note: ({ facts }) => {
      const { clientCertificate } = leg.tls;
      if (clientCertificate === undefined || facts.failure !== 'ORIGIN_GONE' || facts.bytesFromOrigin > 0) return;
      // The reset of an origin that asked and went may have overtaken its alert.
      const shown = clientCertificate === 'asked' ? 'none' : 'the one configured for it';
      facts.failure = code;
      facts.failureDetail = heard?.detail ?? `the origin asked for a certificate, was shown ${shown}, and went`;
    },
  };
}

/** What an error of the origin leg says about a certificate that the origin asked for. */
export function demandOf({ tls }: OriginLeg, error: NodeJS.ErrnoException): TlsFailure | undefined {
  if (tls.clientCertificate === undefined) return undefined;
  return certificateRefusal(failureOfTlsError(error), tls.clientCertificate);
}

function checkFailure(leg: OriginLeg, { code: found, detail }: TlsFailure): OriginCheckFailure {
  leg.socket.destroy();
  const failure = new OriginCheckFailure(found, detail);
  failure.leg = leg.tls;
  return failure;
}
