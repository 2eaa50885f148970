import { readConnectHandshake, readHandshake } from '../../codec/websocket-handshake.ts';
import type { ResponseHead } from '../../core/http.ts';
import type { Admission } from './http1-admission.ts';
import type { LiveExchange } from './http1-exchange.ts';
import type { Refusal, Switch } from './http1-pipeline.ts';

/** What becomes of a switch of protocols that the origin agreed to. */
export type SwitchOutcome =
  | { readonly kind: 'refused'; readonly refusal: Refusal }
  | {
      readonly kind: 'switched';
      readonly webSocket: Switch['webSocket'];
      /** Why what follows is not inspected; undefined when it is. */
      readonly unread: string | undefined;
    };

/**
 * What follows a 101, or in HTTP/2 the acceptance of an extended CONNECT: WebSocket is inspected; anything else passes unread,
 * with a record, where policy lets it.
 */
export function switchOutcome(
  protocol: string,
  response: ResponseHead,
  exchange: LiveExchange,
  upgrades: Admission['upgrades'],
): SwitchOutcome {
  if (protocol !== 'websocket') return unreadOutcome(`what follows the upgrade to ${protocol}`, upgrades);
  const { inspected, request } = exchange;
  // Nothing of a bypassed exchange is inspected.
  if (inspected.messages === undefined) return { kind: 'switched', webSocket: undefined, unread: undefined };
  const handshake = (request.version === '2' ? readConnectHandshake : readHandshake)(request, response);
  switch (handshake.kind) {
    case 'fault':
      return { kind: 'refused', refusal: { code: 'ORIGIN_WEBSOCKET_MALFORMED', detail: handshake.detail } };
    case 'foreign':
      return unreadOutcome(`messages: unknown WebSocket extension ${handshake.extension}`, upgrades);
    case 'agreed': {
      const { agreement } = handshake;
      return { kind: 'switched', webSocket: { agreement, messages: inspected.messages() }, unread: undefined };
    }
  }
}

function unreadOutcome(unread: string, upgrades: Admission['upgrades']): SwitchOutcome {
  if (upgrades === 'allow') return { kind: 'switched', webSocket: undefined, unread };
  return { kind: 'refused', refusal: { code: 'POLICY_UPGRADE_REFUSED', detail: unread } };
}
