import { validServerName } from '../codec/client-hello.ts';
import { canonicalIp } from '../codec/ip-address.ts';
import type { Destination } from '../core/endpoint.ts';
import { FlowFailure } from '../core/failures.ts';
import type { ClientHello } from '../core/tls.ts';

/** The server name of a ClientHello in canonical form; undefined when it names none. Throws CLIENT_SNI_INVALID. */
export function canonicalServerName({ serverName }: ClientHello, { host }: Destination): string | undefined {
  if (serverName === undefined) return undefined;
  const name = validServerName(serverName);
  if (name !== undefined) return name;
  // RFC 6066 section 3 forbids addresses, and old clients send them all the same. The one that the client has asked to be
  // connected to says nothing new; any other would be a second reading of where it goes.
  if (canonicalIp(serverName) === host) return undefined;
  throw new FlowFailure('CLIENT_SNI_INVALID');
}
