import type { FromRelay } from '../core/ipc.ts';
import type { IssuerService } from './issuers/issuer-service.ts';
import type { RelayChild } from './relay-child.ts';
import type { RevocationService } from './revocation/revocation-service.ts';

/** Whom control asks for relays: it alone fetches. */
export interface Answerers {
  readonly revocation: RevocationService;
  readonly issuers: IssuerService;
}

type Question = Extract<FromRelay, { kind: 'revocation-request' | 'issuer-request' }>;

/** Answers a question of a relay in its own time. None of the answerers rejects. */
export async function answerQuestion(child: RelayChild, question: Question, answerers: Answerers): Promise<void> {
  const { id } = question;
  if (question.kind === 'issuer-request') {
    child.send({ kind: 'issuers', id, certificates: await answerers.issuers.find(question.addresses) });
  } else {
    child.send({ kind: 'revocation', id, findings: await answerers.revocation.check(question.pairs) });
  }
}
