import { HeldBudget } from '../../src/flow/relay/held-budget.ts';
import { HoldShare } from '../../src/flow/relay/smtp-hold.ts';

/** Memory for held mails of one client that nobody shares with it. */
export function holdShare(bytes: number): HoldShare {
  return new HoldShare(new HeldBudget(), '192.0.2.1', { bytes, clientBytes: bytes });
}
