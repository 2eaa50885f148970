import { validServerName } from '../codec/client-hello.ts';
import { FlowFailure } from '../core/failures.ts';
import type { ClientHello } from '../core/tls.ts';

/** The server name of a ClientHello in canonical form; undefined when it names none. Throws CLIENT_SNI_INVALID. */
export function canonicalServerName(hello: ClientHello): string | undefined {
  if (hello.serverName === undefined) return undefined;
  const name = validServerName(hello.serverName);
  if (name === undefined) throw new FlowFailure('CLIENT_SNI_INVALID');
  return name;
}
