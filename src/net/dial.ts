import { isIP, type Socket } from 'node:net';
import { canonicalIp } from '../codec/ip-address.ts';
import type { Address, Destination } from '../core/endpoint.ts';
import { type FailureCode, FlowFailure } from '../core/failures.ts';
import type { ListenAddressOrHost, UpstreamPolicy } from '../core/policy.ts';
import { openProxyTunnel } from './proxy-tunnel.ts';
import { type RaceOptions, raceConnect } from './race-connect.ts';
import { createResolver, type Resolve } from './resolve.ts';

export interface DialOptions extends RaceOptions {
  /** Shared by all dialling of the process unless given. */
  readonly resolve?: Resolve;
  /** Why an address may not be connected to (the gateway itself, its admin address); asked of every address, after resolution. */
  readonly forbidden: (address: Address) => FailureCode | undefined;
  /** Whether nobody may ever reach what is ours at a port, by whatever name a proxy is asked for. */
  readonly isGuarded?: (port: number) => boolean;
  /** The HTTP proxy to go through. It resolves the name; an address, and a name at a port of ours, is still asked about. */
  readonly proxy?: DialProxy;
}

export type DialProxy = Pick<UpstreamPolicy, 'proxy' | 'credentials'>;

/**
 * Opens the TCP connection to a destination, directly or through a proxy. The socket keeps half-open connections and
 * has no listeners: attach an `error` listener at once. Rejects with FlowFailure: ORIGIN_NAME_UNRESOLVED and those of
 * raceConnect, ORIGIN_UPSTREAM_PROXY, or what `forbidden` says.
 */
export async function dialTcp(destination: Destination, options: DialOptions): Promise<Socket> {
  if (options.proxy !== undefined) return dialThroughProxy(destination, options.proxy, options);
  return raceConnect(await allowedAddresses(destination, options), options);
}

const sharedResolve = createResolver();

async function dialThroughProxy(
  destination: Destination,
  { proxy, credentials }: DialProxy,
  options: DialOptions,
): Promise<Socket> {
  const judged = await judgedDestination(destination, options);
  const socket = await connectToProxy(proxy, options);
  await openProxyTunnel(socket, judged, credentials, options.timeoutMs);
  return socket;
}

/**
 * The proxy resolves names, and may itself reach addresses of ours: it may run on this host. A name at a port of ours is
 * therefore resolved here too. Where nobody may reach what is there, the proxy is given the address that was judged, for
 * a second look-up may lead elsewhere, and nothing when there is none.
 */
async function judgedDestination(destination: Destination, options: DialOptions): Promise<Destination> {
  const { host, port, ip } = destination;
  const { resolve = sharedResolve, forbidden, isGuarded } = options;
  const literal = ip ?? literalOf(host);
  if (literal !== undefined) refuseForbidden([{ ip: literal, port }], options);
  // Of the unspecified address only ports of ours are forbidden.
  if (literal !== undefined || forbidden({ ip: '0.0.0.0', port }) === undefined) return destination;
  const guarded = isGuarded?.(port) === true;
  const ips = await resolve(host).catch((error: unknown) => {
    if (guarded) throw error;
    return [];
  });
  // One is enough: the proxy may choose any.
  const refusal = ips.map((each) => forbidden({ ip: canonicalIp(each) ?? each, port })).find(Boolean);
  if (refusal !== undefined) throw new FlowFailure(refusal);
  const [first] = ips;
  return guarded && first !== undefined ? { host: first, port, ip: first } : destination;
}

/** The proxy is the operator's, so that its failures are not the origin's. */
async function connectToProxy(proxy: ListenAddressOrHost, options: DialOptions): Promise<Socket> {
  try {
    // A proxy knows the gateway, not its clients: it is dialled from our own address.
    const { spoof: _, proxy: __, ...own } = options;
    return await raceConnect(await allowedAddresses(proxy, own), own);
  } catch (error) {
    if (!(error instanceof FlowFailure) || !error.code.startsWith('ORIGIN_')) throw error;
    throw new FlowFailure('ORIGIN_UPSTREAM_PROXY', error.message);
  }
}

async function allowedAddresses(destination: Destination, options: DialOptions): Promise<readonly Address[]> {
  const literal = destination.ip ?? literalOf(destination.host);
  const { resolve = sharedResolve } = options;
  const ips = literal === undefined ? await resolve(destination.host) : [literal];
  const addresses = ips.map((ip) => ({ ip: canonicalIp(ip) ?? ip, port: destination.port }));
  return interleaved(sameFamily(refuseForbidden(addresses, options), options.spoof));
}

/** What is left of the addresses that may be connected to. Throws the first refusal when none is. */
function refuseForbidden(addresses: readonly Address[], { forbidden }: DialOptions): readonly Address[] {
  let refusal: FailureCode | undefined;
  const allowed = addresses.filter((address) => {
    const code = forbidden(address);
    refusal ??= code;
    return code === undefined;
  });
  if (allowed.length === 0 && refusal !== undefined) throw new FlowFailure(refusal);
  return allowed;
}

/** A connection that comes from the client's address has the client's family. */
function sameFamily(addresses: readonly Address[], spoof: Address | undefined): readonly Address[] {
  if (spoof === undefined) return addresses;
  const same = addresses.filter(({ ip }) => isIPv6(ip) === isIPv6(spoof.ip));
  if (same.length > 0) return same;
  throw new FlowFailure('ORIGIN_UNREACHABLE', 'the origin has no address of the family of the client');
}

/** RFC 8305 section 4: families take turns, the resolver's preference first. */
function interleaved(addresses: readonly Address[]): readonly Address[] {
  const [first] = addresses;
  if (first === undefined || addresses.length < 3) return addresses;
  const preferred = addresses.filter(({ ip }) => isIPv6(ip) === isIPv6(first.ip));
  const others = addresses.filter(({ ip }) => isIPv6(ip) !== isIPv6(first.ip));
  const turns = Math.max(preferred.length, others.length);
  return Array.from({ length: turns }, (_, turn) => [preferred[turn], others[turn]])
    .flat()
    .filter((address) => address !== undefined);
}

function literalOf(host: string): string | undefined {
  return isIP(host) === 0 ? undefined : host;
}

function isIPv6(ip: string): boolean {
  return ip.includes(':');
}
