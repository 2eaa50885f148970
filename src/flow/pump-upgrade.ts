import type { Duplex } from 'node:stream';
import { asFailure, type FailureCode, FlowFailure } from '../core/failures.ts';
import type { TlsEnd, TlsUpgrade } from '../core/relay.ts';
import type { Side } from '../core/side.ts';
import type { PumpLeg } from './pump-leg.ts';
import type { PumpOptions, SecureLegs } from './pump-options.ts';

/** What the legs are after an upgrade. A leg without a stream has ended at the failure. */
export interface LegsUpgrade {
  readonly client: Duplex | undefined;
  readonly origin: Duplex | undefined;
  readonly failure: FlowFailure | undefined;
  /** Client and origin do TLS with each other. */
  readonly isUnread?: boolean;
}

/** Puts TLS over both legs, or takes it off them. Never rejects. */
export async function changeLegs(
  legs: Readonly<Record<Side, PumpLeg>>,
  { secure, clear }: Pick<PumpOptions, 'secure' | 'clear'>,
  next: TlsUpgrade | TlsEnd,
): Promise<LegsUpgrade> {
  if (next.kind === 'clear' && clear !== undefined) return clearLegs(legs, clear, next);
  if (next.kind === 'tls' && secure !== undefined) return upgradeLegs(legs, secure, next);
  return failed(legs.client.release(), legs.origin.release(), 'GATEWAY_INTERNAL', 'no TLS for these legs');
}

/**
 * The origin's leg first, so that a client whose origin goes on otherwise is told so under TLS. What the client has sent
 * behind its command and before the end of TLS ends it: it was not sent to be read in the clear, nor behind it.
 */
async function clearLegs(
  legs: Readonly<Record<Side, PumpLeg>>,
  clear: NonNullable<PumpOptions['clear']>,
  { accept }: TlsEnd,
): Promise<LegsUpgrade> {
  const client = legs.client.release();
  legs.origin.release();
  if (client === undefined) return failed(client, undefined, 'GATEWAY_INTERNAL', 'no leg');
  let origin: Duplex;
  try {
    origin = await clear('origin');
  } catch (error) {
    return { client, origin: undefined, failure: asFailure(error) };
  }
  if (client.readableLength > 0) return failed(client, origin, 'CLIENT_UPGRADE_INJECTION', injected(client));
  client.write(accept);
  try {
    return { client: await clear('client'), origin, failure: undefined };
  } catch (error) {
    return { client: undefined, origin, failure: asFailure(error) };
  }
}

/**
 * Puts TLS over both legs, the origin's first: nothing positive is said to a client whose origin was not verified. Bytes
 * that either side has sent behind its last line of plaintext end it: kept, they would be read as if TLS had protected
 * them (command and response injection, CVE-2011-0411).
 */
async function upgradeLegs(
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
  return `${readableLength} bytes behind the last line`;
}
