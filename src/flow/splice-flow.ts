import type { Socket } from 'node:net';
import { splice } from '../net/splice.ts';
import type { Flow } from './flow.ts';

/** Copies both directions of a flow unread. Bytes are counted, nothing else is kept. */
export async function spliceFlow(flow: Flow, origin: Socket, protocol: string): Promise<void> {
  const { facts, policy } = flow;
  facts.protocol = protocol;
  const outcome = await splice(flow.client, origin, { idleTimeoutMs: policy.document.timeouts.idleMs });
  facts.bytesFromClient = outcome.bytesFromClient;
  facts.bytesFromOrigin = outcome.bytesFromOrigin;
  if (outcome.reason !== 'ended') facts.failure = outcome.reason;
}
