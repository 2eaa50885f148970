import type { FromRelay } from '../core/ipc.ts';
import type { IssuerService } from './issuers/issuer-service.ts';
import type { RelayChild } from './relay-child.ts';
import type { RevocationService } from './revocation/revocation-service.ts';
import type { SharedExpectations } from './shared-expectations.ts';

/** Whom control asks for relays: it alone fetches. */
export interface Answerers {
  readonly revocation: RevocationService;
  readonly issuers: IssuerService;
}

type QuestionKind = 'revocation-request' | 'issuer-request' | 'expect-data' | 'data-noted' | 'forget-data';
type Question = Extract<FromRelay, { kind: QuestionKind }>;

const questionKinds: ReadonlySet<FromRelay['kind']> = new Set<QuestionKind>([
  ...(['revocation-request', 'issuer-request', 'expect-data', 'data-noted', 'forget-data'] as const),
]);

/** Whether a message of a relay asks for something that others know. */
export function isQuestion(message: FromRelay): message is Question {
  return questionKinds.has(message.kind);
}

/** Relays that know of each other through control. */
export interface Neighbours {
  readonly expectations: SharedExpectations;
  /** All processes, whether they accept connections already or still, the one that asks among them. */
  readonly processes: readonly RelayChild[];
}

/** Answers a question of a relay in its own time. None of the answerers rejects. */
export async function answerQuestion(
  child: RelayChild,
  question: Question,
  answerers: Answerers,
  { expectations, processes }: Neighbours,
): Promise<void> {
  const others = processes.filter((relay) => relay !== child);
  switch (question.kind) {
    case 'issuer-request': {
      const certificates = await answerers.issuers.find(question.addresses, question.client);
      return child.send({ kind: 'issuers', id: question.id, certificates });
    }
    case 'revocation-request': {
      const findings = await answerers.revocation.check(question.pairs, question.client);
      return child.send({ kind: 'revocation', id: question.id, findings });
    }
    case 'expect-data':
      return expectations.announce(child, question.id, question.expected, others);
    case 'data-noted':
      return expectations.noted(child, question.id, question.isKnown);
    case 'forget-data':
      expectations.forget(question.token);
      for (const other of others) other.send(question);
  }
}
