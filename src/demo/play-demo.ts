import type { DemoScene, Step, StepOutcome } from './demo-step.ts';
import { fileBlocked, filePasses } from './file-steps.ts';
import { mailBlocked, mailPasses } from './mail-steps.ts';
import { expiredRefused, webBlocked, webPasses } from './web-steps.ts';

const steps: readonly Step[] = [
  webPasses,
  webBlocked,
  expiredRefused,
  mailPasses,
  mailBlocked,
  filePasses,
  fileBlocked,
];

/** A step that was played. */
export interface PlayedStep extends StepOutcome {
  readonly id: string;
  readonly title: string;
  /** Everything went as said. */
  readonly ok: boolean;
}

/** Plays the steps one after the other, all of them even when one fails; ends between two when it is told to. */
export async function* playDemo(scene: DemoScene, abort?: AbortSignal): AsyncGenerator<PlayedStep> {
  for (const { id, title, play } of steps) {
    if (abort?.aborted) return;
    const outcome = await play(scene);
    yield { id, title, ok: outcome.claims.every(({ holds }) => holds), ...outcome };
  }
}
