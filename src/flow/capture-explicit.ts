import { createHash, timingSafeEqual } from 'node:crypto';
import type { Socket } from 'node:net';
import {
  type ProxyCredentials,
  type ProxyRequest,
  parseProxyRequest,
  proxyCredentials,
} from '../codec/http1-proxy-request.ts';
import { createSocks5Negotiation, socks5ReplyFor } from '../codec/socks5.ts';
import type { Destination } from '../core/endpoint.ts';
import { FlowFailure } from '../core/failures.ts';
import { limits } from '../core/limits.ts';
import type { ExplicitListener } from '../core/policy.ts';
import { readUntil } from '../net/read-until.ts';
import { acceptProxyHeader } from './accept-proxy-header.ts';
import { decideOnDestination } from './decide-destination.ts';
import { dialOrigin } from './dial-origin.ts';
import type { Flow } from './flow.ts';
import { joinDataConnection, refuseUnreadData } from './join-data-connection.ts';
import { relayTunnel } from './relay-tunnel.ts';
import { runRelay } from './run-relay.ts';

/** A client that knows of the proxy: CONNECT, absolute-form HTTP or SOCKS5, told apart by the first byte. */
export async function captureExplicit(flow: Flow, listener: ExplicitListener): Promise<void> {
  await acceptProxyHeader(flow, listener);
  const request = await readUntil<ProxyRequest | 'socks5'>(flow.client, openingLimits(flow), (bytes) => {
    if (bytes[0] === socksVersion) return { value: 'socks5', consumed: 0 };
    refuseOtherKinds(flow, bytes[0]);
    flow.answerLayer = 'proxy-request';
    const parsed = parseProxyRequest(bytes);
    if (parsed.kind === 'partial') return undefined;
    if (parsed.kind !== 'parsed') throw new FlowFailure(parsed.code, parsed.detail);
    // CONNECT is ours; a request in absolute form goes on to the relay untouched.
    return { value: parsed.request, consumed: parsed.request.kind === 'connect' ? parsed.consumed : 0 };
  });
  if (request === 'socks5') return captureSocks5(flow, listener);
  if (!isPermitted(listener, request.credentials)) throw new FlowFailure('CLIENT_PROXY_AUTH_REQUIRED');
  if (request.kind === 'connect') return captureConnect(flow, request.destination);
  return relayAbsoluteForm(flow, listener);
}

const socksVersion = 0x05;
const socks4Version = 0x04;
const tlsHandshakeRecord = 0x16;
/** Version 0, request rejected; the address that follows means nothing. */
const socks4Rejected = Buffer.from([0, 0x5b, 0, 0, 0, 0, 0, 0]);

/** A client that takes this for another kind of proxy learns so in what it speaks, and its operator why. */
function refuseOtherKinds(flow: Flow, first: number | undefined): void {
  if (first === socks4Version) {
    flow.client.write(socks4Rejected);
    flow.answerLayer = 'told';
    throw new FlowFailure('CLIENT_PROXY_REQUEST_INVALID', 'SOCKS4: let the client speak SOCKS5');
  }
  if (first !== tlsHandshakeRecord) return;
  flow.answerLayer = 'tls';
  throw new FlowFailure('CLIENT_PROXY_REQUEST_INVALID', 'TLS: the URL of this proxy is http://, not https://');
}

function openingLimits(flow: Flow) {
  return {
    deadlineMs: flow.policy.document.timeouts.openingMs,
    maximumBytes: limits.httpHeadBytes,
    onDeadline: 'CLIENT_OPENING_TIMEOUT',
    onTooLarge: 'CLIENT_OPENING_TOO_LARGE',
  } as const;
}

/** The origin is dialled before 200 is said, so that a client learns at once, and in HTTP, that it is not there. */
async function captureConnect(flow: Flow, destination: Destination): Promise<void> {
  flow.facts.via = 'connect';
  if (await joinDataConnection(flow, destination, established)) return;
  const origin = await dialPermitted(flow, destination);
  flow.client.write(established);
  await relayTunnel(flow, { destination, origin, dial: dialInstead(flow, origin) });
}

const established = Buffer.from('HTTP/1.1 200 Connection Established\r\n\r\n');

async function captureSocks5(flow: Flow, listener: ExplicitListener): Promise<void> {
  flow.facts.via = 'socks5';
  flow.answerLayer = 'none';
  const negotiation = asksForCredentials(listener)
    ? createSocks5Negotiation((user, password) => isKnown(listener, user, password))
    : createSocks5Negotiation();
  let seen = 0;
  const outcome = await readUntil(flow.client, openingLimits(flow), (bytes) => {
    const step = negotiation.receive(bytes.subarray(seen));
    seen = bytes.length;
    for (const reply of step.replies) flow.client.write(reply);
    if (step.outcome === undefined) return undefined;
    return { value: step.outcome, consumed: bytes.length - (step.rest?.length ?? 0) };
  });
  if (outcome.kind === 'failed') {
    flow.answerLayer = 'told';
    throw new FlowFailure(outcome.code, outcome.detail);
  }
  flow.answerLayer = 'socks5';
  const isData = await joinDataConnection(flow, outcome.destination, socks5ReplyFor(undefined, flow.facts.gateway));
  if (isData) return;
  const origin = await dialPermitted(flow, outcome.destination);
  flow.client.write(socks5ReplyFor(undefined, flow.facts.originLocal));
  await relayTunnel(flow, { destination: outcome.destination, origin, dial: dialInstead(flow, origin) });
}

/** Requests in absolute form: the relay names the origin of each, which may change within one connection. */
async function relayAbsoluteForm(flow: Flow, listener: ExplicitListener): Promise<void> {
  flow.facts.via = 'absolute-form';
  await runRelay(flow, {
    origin: undefined,
    protocol: 'http/1.1',
    scheme: 'http',
    dial: (destination) => dialPermitted(flow, destination),
    isPermitted: asksForCredentials(listener)
      ? (headers) => isPermitted(listener, proxyCredentials(headers))
      : undefined,
  });
}

/** The origin is dialled already; only another one has to be. */
function dialInstead(flow: Flow, origin: Socket) {
  return async (instead?: Destination) => (instead === undefined ? origin : dialOrigin(flow, instead));
}

/** What policy refuses by its destination alone is refused before anything is dialled. */
async function dialPermitted(flow: Flow, destination: Destination) {
  const decision = decideOnDestination(flow, destination);
  if (decision.kind === 'refuse') throw new FlowFailure('POLICY_REFUSED', decision.reason);
  const origin = await dialOrigin(flow, destination);
  refuseUnreadData(flow);
  return origin;
}

function asksForCredentials(listener: ExplicitListener): boolean {
  return listener.credentials.length > 0;
}

function isPermitted(listener: ExplicitListener, given: ProxyCredentials | undefined): boolean {
  if (!asksForCredentials(listener)) return true;
  return given !== undefined && isKnown(listener, given.user, given.password);
}

/** Compares digests in constant time, so that neither length nor prefix of a password can be measured. */
function isKnown(listener: ExplicitListener, user: string, password: string): boolean {
  const digest = createHash('sha256').update(password).digest();
  let known = false;
  for (const entry of listener.credentials) {
    const matches = timingSafeEqual(digest, Buffer.from(entry.passwordSha256, 'hex'));
    if (entry.user === user && matches) known = true;
  }
  return known;
}
