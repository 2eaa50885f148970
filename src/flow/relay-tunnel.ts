import type { Socket } from 'node:net';
import { validServerName } from '../codec/client-hello.ts';
import { fingerprintsOf } from '../codec/fingerprint.ts';
import { isHttp2Greeting, recogniseBanner } from '../codec/first-bytes.ts';
import type { Destination } from '../core/endpoint.ts';
import { FlowFailure } from '../core/failures.ts';
import { limits } from '../core/limits.ts';
import type { Opening } from '../core/opening.ts';
import type { ReverseListener } from '../core/policy.ts';
import { count } from '../metrics/counters.ts';
import { peekOpening } from '../net/peek.ts';
import { firstToSpeak } from '../net/read-until.ts';
import { decide, type FlowDecision, mayHostTighten } from './decide.ts';
import { dialByName } from './dial-by-name.ts';
import type { Flow } from './flow.ts';
import { interceptTls } from './intercept-tls.ts';
import { learnedDecision } from './learned-bypass.ts';
import { filesPort, isGreetingPort, isMailPort, tellingPort } from './mail-ports.ts';
import { afterOriginFailure } from './origin-failure.ts';
import type { OwnCertificate } from './policy-snapshot.ts';
import { relayPlaintext } from './relay-plaintext.ts';
import { canonicalServerName } from './server-name.ts';
import { spliceFlow } from './splice-flow.ts';

/** Where a tunnel leads and how its origin is reached and judged. */
export interface Tunnel {
  readonly destination: Destination;
  /** Opens TCP to the origin, or to another destination that stands in for it. */
  readonly dial: (instead?: Destination) => Promise<Socket>;
  /** Dials the same origin once more, where `dial` gives what is dialled already. */
  readonly redial?: Tunnel['dial'];
  /** Already dialled (explicit capture tells the client early whether the origin is there). */
  readonly origin?: Socket;
  /** Name to verify the origin by when the client names none, and always where the endpoint has its own certificate. */
  readonly verifyAs?: string | undefined;
  readonly originTls?: ReverseListener['originTls'];
  readonly ownCertificate?: OwnCertificate | undefined;
}

/** A flow whose destination is known: looks at its opening, decides, and goes on as that opening needs. */
export async function relayTunnel(flow: Flow, tunnel: Tunnel): Promise<void> {
  const { opening, origin } = await openingOf(flow, tunnel);
  const decision = learnedOr(flow, tunnel, opening, decideOn(flow, tunnel, opening));
  if (decision.kind === 'refuse') throw new FlowFailure('POLICY_REFUSED', decision.reason);
  const dial = origin === undefined ? tunnel.dial : async () => origin;
  if (decision.kind === 'bypass' && !(isPlainHttp(opening, origin) && mayHostTighten(flow.policy, decision))) {
    const exempt =
      decision.restsOn === undefined ? await dial() : await dialByName(flow, tunnel, decision.restsOn, origin);
    if (exempt !== undefined) return bypass(flow, exempt, opening);
    flow.facts.decision = { kind: 'intercept', reason: 'server name that does not resolve' };
  }
  switch (opening.kind) {
    case 'tls':
      return interceptTls(flow, { ...tunnel, dial }, opening.hello).catch((error: unknown) =>
        afterOriginFailure(flow, tunnel, error),
      );
    case 'http1':
      return relayPlaintext(flow, { ...tunnel, dial }, 'http/1.1');
    case 'http2':
      if (flow.policy.document.http.h2) return relayPlaintext(flow, { ...tunnel, dial }, 'h2');
      // It is HTTP, and policy has nobody read it: passed on it would escape inspection.
      throw new FlowFailure('CLIENT_HTTP_VERSION', 'HTTP/2 without TLS');
    case 'opaque':
      if (isOldTls(opening)) throw new FlowFailure('CLIENT_HELLO_MALFORMED', 'SSL 2.0 framing');
      // Behind that of the load balancer, or without one: it is the client's word, which the origin must not get from us.
      if (opening.protocol === 'proxy-protocol' && flow.listener.mode === 'reverse') {
        throw new FlowFailure('CLIENT_PROXY_HEADER_INVALID', 'from the client itself');
      }
      return relayOpaque(flow, { ...tunnel, dial }, opening.protocol);
    case 'silent':
      // What the origin says first tells the protocol.
      return relayPlaintext(flow, { ...tunnel, dial, redial: tunnel.dial }, undefined);
    case 'malformed':
      throw new FlowFailure(opening.code, opening.detail);
  }
}

interface TunnelOpening {
  readonly opening: Opening;
  readonly origin: Socket | undefined;
}

/** The client's first bytes; when it stays silent the origin is dialled, and whoever speaks first decides. */
async function openingOf(flow: Flow, tunnel: Tunnel): Promise<TunnelOpening> {
  const { openingMs, idleMs } = flow.policy.document.timeouts;
  const peek = (silenceMs: number) => peekOpening(flow.client, { deadlineMs: openingMs, silenceMs });
  const { greeting } = flow.plane;
  const address = `${tunnel.destination.host}:${tunnel.destination.port}`;
  flow.answerLayer = 'none';
  const greets = isGreetingPort(tellingPort(flow)) || greeting.has(address, Date.now());
  // Nobody gains by waiting for a client that waits itself.
  const silenceMs = greets ? limits.greetedSilenceMs : limits.silenceMs;
  const first = tunnel.origin === undefined ? await peek(silenceMs) : undefined;
  if (first !== undefined && first.opening.kind !== 'silent') return noted(flow, first.opening, undefined);
  const origin = tunnel.origin ?? (await dialSilent(flow, tunnel));
  const speaker = await firstToSpeak(flow.client, origin, idleMs);
  if (speaker === 'origin') {
    greeting.note(address, Date.now());
    return noted(flow, { kind: 'silent' }, origin);
  }
  greeting.forget(address);
  // An origin that has ended cannot speak first any more: if the client has something to say, that decides.
  const second = await peek(speaker === 'client' ? openingMs : limits.silenceMs);
  return noted(flow, second.opening, origin);
}

/** A silent client may be refused by where it goes before anything is dialled. */
async function dialSilent(flow: Flow, tunnel: Tunnel): Promise<Socket> {
  const decision = decideOn(flow, tunnel, { kind: 'silent' });
  // A client of mail or files waits for a greeting, and can be told in one why there is none.
  const port = tellingPort(flow);
  if (isMailPort(port) || port === filesPort) flow.answerLayer = 'greeting';
  if (decision.kind === 'refuse') throw new FlowFailure('POLICY_REFUSED', decision.reason);
  const origin = await tunnel.dial();
  flow.answerLayer = 'none';
  return origin;
}

function noted(flow: Flow, opening: Opening, origin: Socket | undefined): TunnelOpening {
  if (opening.kind === 'tls') {
    flow.answerLayer = 'tls';
    flow.hello = opening.hello;
    flow.facts.fingerprints = fingerprintsOf(opening.hello);
    // As rules and policy read it; what is no host name is recorded as it came.
    const { serverName } = opening.hello;
    flow.facts.serverName = serverName && (validServerName(serverName) ?? serverName);
  } else if (opening.kind === 'malformed' || isOldTls(opening)) flow.answerLayer = 'tls';
  else if (opening.kind === 'http2' && flow.policy.document.http.h2) flow.answerLayer = 'http2';
  else if (opening.kind === 'http1' || opening.kind === 'http2') flow.answerLayer = 'http';
  return { opening, origin };
}

/** A ClientHello in SSL 2.0 framing: some servers still take it for TLS 1.2, which would then pass unread. */
function isOldTls(opening: Opening): boolean {
  return opening.kind === 'opaque' && opening.protocol === 'tls-sslv2';
}

function decideOn(flow: Flow, tunnel: Tunnel, opening: Opening): FlowDecision {
  const { facts, policy } = flow;
  const name = opening.kind === 'tls' ? canonicalServerName(opening.hello, tunnel.destination) : undefined;
  const { host } = tunnel.destination;
  const reached = policy.assetOf(facts.client.ip, host, flow.listener);
  const named = name === undefined ? undefined : policy.assetOf(facts.client.ip, name, flow.listener);
  const asset = reached ?? named;
  facts.asset = asset === undefined ? undefined : { id: asset.id, kind: asset.kind };
  const decision = decide(policy, tunnel.destination, name, { reached, named });
  facts.decision = decision;
  return decision;
}

/** Names a host in the clear, and may name another one in the next request. Origins of HTTP/2 speak first where they can. */
function isPlainHttp({ kind }: Opening, origin: Socket | undefined): boolean {
  if (kind === 'silent') return origin !== undefined && isHttp2Greeting(firstWords(origin) ?? nothing);
  return kind === 'http1' || kind === 'http2';
}

/** What clients have taught comes last: nothing but TLS that would be intercepted is learned. */
function learnedOr(flow: Flow, tunnel: Tunnel, opening: Opening, decision: FlowDecision): FlowDecision {
  if (opening.kind !== 'tls' || decision.kind !== 'intercept') return decision;
  const learned = learnedDecision(flow, tunnel);
  if (learned === undefined) return decision;
  flow.facts.decision = learned;
  count('daylight_learned_bypass_flows_total');
  return learned;
}

function bypass(flow: Flow, origin: Socket, opening: Opening): Promise<void> {
  return spliceFlow(flow, origin, opening.kind === 'silent' ? bannerOf(origin) : protocolOf(opening));
}

function protocolOf(opening: Exclude<Opening, { kind: 'silent' }>): string {
  switch (opening.kind) {
    case 'tls':
      return 'tls';
    case 'http1':
      return 'http/1.1';
    case 'http2':
      return 'http/2';
    case 'opaque':
      return opening.protocol;
    case 'malformed':
      return 'unknown';
  }
}

async function relayOpaque(flow: Flow, tunnel: Tunnel, protocol: string): Promise<void> {
  if (flow.policy.document.opaque === 'refuse') throw new FlowFailure('CLIENT_NOT_TLS', protocol);
  return relayPlaintext(flow, tunnel, protocol);
}

function bannerOf(origin: Socket): string {
  const banner = firstWords(origin);
  return (banner && recogniseBanner(banner)) ?? 'unknown';
}

/** Reads what the origin said first without consuming it. */
function firstWords(origin: Socket): Buffer | undefined {
  const words: unknown = origin.read();
  if (!Buffer.isBuffer(words)) return undefined;
  origin.unshift(words);
  return words;
}

const nothing = Buffer.alloc(0);
