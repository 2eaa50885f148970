import { FlowFailure } from '../../src/core/failures.ts';

/** The failure code that a promise is rejected with; what else happened otherwise. */
export async function failureCode(promise: Promise<unknown>): Promise<string> {
  try {
    return `resolved: ${String(await promise)}`;
  } catch (error) {
    return error instanceof FlowFailure ? error.code : String(error);
  }
}
