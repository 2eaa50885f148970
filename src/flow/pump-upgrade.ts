import type { Duplex } from 'node:stream';
import { asFailure, type FailureCode, FlowFailure } from '../core/failures.ts';
import type { TlsUpgrade } from '../core/relay.ts';
import type { Side } from '../core/side.ts';
import type { PumpLeg } from './pump-leg.ts';
import type { SecureLegs } from './pump-options.ts';

/** What the legs are after an upgrade. A leg without a stream has ended at the failure. */
export interface LegsUpgrade {
  readonly client: Duplex | undefined;
  readonly origin: Duplex | undefined;
  readonly failure: FlowFailure | undefined;
  /** Client and origin do TLS with each other. */
  readonly isUnread?: boolean;
}

/**
 * Puts TLS over both legs, the origin's first: nothing positive is said to a client whose origin was not verified. Bytes
 * that either side has sent behind its last line of plaintext end it: kept, they would be read as if TLS had protected
 * them (command and response injection, CVE-2011-0411). Never rejects.
 */
export async function upgradeLegs(
  legs: Readonly<Record<Side, PumpLeg>>,
  secure: SecureLegs,
  next: TlsUpgrade,
): Promise<LegsUpgrade> {
  const client = legs.client.release();
  const origin = legs.origin.release();
  if (client === undefined || origin === undefined) return failed(client, undefined, 'GATEWAY_INTERNAL', 'no leg');
  if (origin.readableLength > 0) {
    origin.destroy();
    return failed(client, undefined, 'ORIGIN_UPGRADE_INJECTION', injected(origin));
  }
  if (client.readableLength > 0) {
    origin.destroy();
    return failed(client, undefined, 'CLIENT_UPGRADE_INJECTION', injected(client));
  }
  const mayPass = next.again !== undefined;
  if (mayPass && secure.passesUnread()) return unread(client, origin, next.accept);
  const isAsked = secure.needsHello(next.originName);
  let securedOrigin: Duplex;
  try {
    if (isAsked) {
      client.write(next.accept);
      await secure.hello();
    }
    securedOrigin = await secure.origin(next.originName);
  } catch (error) {
    const again = isAsked || next.again === undefined ? undefined : await secure.again(error, next.again);
    if (again !== undefined) return unread(client, again, next.accept);
    return { client: isAsked ? undefined : client, origin: undefined, failure: asFailure(error) };
  }
  if (!isAsked) {
    if (client.readableLength > 0) return failed(client, securedOrigin, 'CLIENT_UPGRADE_INJECTION', injected(client));
    client.write(next.accept);
  }
  try {
    return { client: await secure.client(next.alpn), origin: securedOrigin, failure: undefined };
  } catch (error) {
    return { client: undefined, origin: securedOrigin, failure: asFailure(error) };
  }
}

/** The client's handshake goes on to the origin as it comes. */
function unread(client: Duplex, origin: Duplex, accept: Buffer): LegsUpgrade {
  if (client.readableLength > 0) return failed(client, origin, 'CLIENT_UPGRADE_INJECTION', injected(client));
  client.write(accept);
  return { client, origin, failure: undefined, isUnread: true };
}

function failed(
  client: Duplex | undefined,
  origin: Duplex | undefined,
  code: FailureCode,
  detail: string,
): LegsUpgrade {
  return { client, origin, failure: new FlowFailure(code, detail) };
}

function injected({ readableLength }: Duplex): string {
  return `${readableLength} bytes behind the last line of plaintext`;
}
