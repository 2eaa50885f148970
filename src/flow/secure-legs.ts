import type { Duplex } from 'node:stream';
import { validServerName } from '../codec/client-hello.ts';
import { fingerprintsOf } from '../codec/fingerprint.ts';
import { canonicalHost } from '../codec/host.ts';
import { FlowFailure, failureOf } from '../core/failures.ts';
import type { ClientHello } from '../core/tls.ts';
import { count } from '../metrics/counters.ts';
import { peekOpening } from '../net/peek.ts';
import { floorBreach, originFloorOf } from '../pki/origin-floor.ts';
import { coveringName } from './certificate-names.ts';
import { refuseWithAlert } from './client-leg.ts';
import type { Flow } from './flow.ts';
import { answerClient, leafOf } from './intercept-tls.ts';
import { learnedDecision } from './learned-bypass.ts';
import { leadToTls } from './mail-redial.ts';
import { opensOldProtocol } from './origin-contexts.ts';
import { noteUnread, passesUnread } from './origin-failure.ts';
import type { OriginLeg } from './origin-leg.ts';
import type { SecureLegs } from './pump-options.ts';
import type { Tunnel } from './relay-tunnel.ts';
import { canonicalServerName } from './server-name.ts';
import { openVerifiedOrigin } from './verified-origin.ts';

/** TLS in mid-stream over the plain legs of a flow: the same check of the origin and the same leafs as at their start. */
export function secureLegs(flow: Flow, tunnel: Tunnel): SecureLegs {
  let leg: OriginLeg | undefined;
  let hello: ClientHello | undefined;
  return {
    needsHello: (name) => name === undefined && !isNamed(tunnel),
    async hello() {
      hello = await orAlert(flow, () => helloOf(flow));
      flow.hello = hello;
    },
    async origin(name) {
      const transport = flow.originTransport;
      if (transport === undefined) throw new FlowFailure('ORIGIN_GONE', 'before the TLS handshake');
      const open = async (): Promise<OriginLeg> => {
        const serverName = hello === undefined ? nameBeforeHello(tunnel, name) : nameOf(hello, tunnel);
        return openVerifiedOrigin(flow, tunnel, transport, { serverName, alpn: [] });
      };
      leg = hello === undefined ? await open() : await orAlert(flow, open);
      flow.origin = leg.socket;
      leg.socket.on('error', ignore);
      return leg.socket;
    },
    passesUnread: () => passesLearned(flow, tunnel),
    again: (error, lines) => againUnread(flow, tunnel, error, lines),
    async client(alpn) {
      if (leg === undefined) throw new FlowFailure('GATEWAY_INTERNAL', 'the origin was not verified');
      const verified = leg;
      return orAlert(flow, async () => openClient(flow, tunnel, verified, hello ?? (await helloOf(flow)), alpn));
    },
  };
}

/** Clients of this kind have rejected our leafs here: they and the origin do TLS with each other. */
function passesLearned(flow: Flow, tunnel: Tunnel): boolean {
  const learned = learnedDecision(flow, tunnel);
  if (learned === undefined) return false;
  flow.facts.decision = learned;
  count('daylight_learned_bypass_flows_total');
  return true;
}

/** Leaves the client to judge an origin that failed its check, on a connection that nobody has begun TLS on. */
async function againUnread(
  flow: Flow,
  { redial, destination }: Tunnel,
  error: unknown,
  lines: readonly Buffer[],
): Promise<Duplex | undefined> {
  if (!(error instanceof FlowFailure) || redial === undefined || !passesUnread(flow, error.code)) return undefined;
  const { facts, policy } = flow;
  flow.origin?.destroy();
  try {
    const origin = await redial(destination);
    await leadToTls(origin, lines, policy.document.timeouts.handshakeMs);
    flow.origin = origin;
    noteUnread(facts, error);
    return origin;
  } catch {
    // The failure of the check is told, which came first.
    return undefined;
  }
}

/**
 * The origin is verified before the client says hello, so by what capture knows: the name of a tunnel or of a listener.
 * Where capture knows an address alone, the origin is held to the name that it gives itself. That name proves nothing by
 * itself; it is the client's own check of the leaf, which bears the names of the verified certificate and no others, that
 * decides, and a name that the client does send must be covered too.
 */
function nameBeforeHello(tunnel: Tunnel, name: string | undefined): string | undefined {
  return isNamed(tunnel) || name === undefined ? undefined : canonicalHost(name);
}

function isNamed({ verifyAs, destination }: Tunnel): boolean {
  return verifyAs !== undefined || destination.host !== destination.ip;
}

/** An FTP server does not say what it is called: where capture knows an address alone, the client has to. */
function nameOf(hello: ClientHello, { destination }: Tunnel): string | undefined {
  return canonicalServerName(hello, destination);
}

async function openClient(
  flow: Flow,
  tunnel: Tunnel,
  origin: OriginLeg,
  hello: ClientHello,
  alpn: readonly string[],
): Promise<Duplex> {
  checkHello(flow, tunnel, origin, hello, alpn);
  const leaf = await leafOf(flow, tunnel, hello, origin.identity);
  // Whose data connections are to come is known here.
  await answerClient(flow, hello, alpn.includes('ftp') ? leaf.bound() : leaf, undefined);
  return flow.client;
}

/** A client that was told to begin TLS is told in TLS why it cannot be. */
async function orAlert<Value>(flow: Flow, act: () => Promise<Value>): Promise<Value> {
  try {
    return await act();
  } catch (error) {
    const code = error instanceof FlowFailure ? error.code : 'GATEWAY_INTERNAL';
    if (!flow.client.destroyed && flow.client === flow.clientTransport) {
      refuseWithAlert(flow.client, failureOf(code).alert);
    }
    throw error;
  }
}

async function helloOf(flow: Flow): Promise<ClientHello> {
  const { handshakeMs } = flow.policy.document.timeouts;
  const { opening } = await peekOpening(flow.client, { deadlineMs: handshakeMs, silenceMs: handshakeMs });
  switch (opening.kind) {
    case 'tls':
      return opening.hello;
    case 'malformed':
      throw new FlowFailure(opening.code, opening.detail);
    case 'silent':
      throw new FlowFailure('CLIENT_HANDSHAKE_TIMEOUT', 'no ClientHello after the upgrade');
    case 'http1':
    case 'http2':
    case 'opaque':
      throw new FlowFailure('CLIENT_UPGRADE_INJECTION', 'plaintext where the ClientHello belongs');
  }
}

/** What a ClientHello at the start of a flow decides before the origin is dialled, asked of it here afterwards. */
function checkHello(flow: Flow, tunnel: Tunnel, leg: OriginLeg, hello: ClientHello, alpn: readonly string[]): void {
  const { identity } = leg;
  const { facts, policy } = flow;
  flow.hello = hello;
  facts.fingerprints = fingerprintsOf(hello);
  facts.serverName = hello.serverName && (validServerName(hello.serverName) ?? hello.serverName);
  const name = canonicalServerName(hello, tunnel.destination);
  if (hello.alpn.length > 0 && !hello.alpn.some((protocol) => alpn.includes(protocol))) {
    throw new FlowFailure('CLIENT_ALPN_UNSUPPORTED', hello.alpn.join(' ').slice(0, 100));
  }
  refuseBelowFloor(flow, leg, hello);
  if (name === undefined || tunnel.ownCertificate !== undefined) return;
  const refused = policy.refuseReason(name, tunnel.destination.ip, tunnel.destination.port);
  if (refused !== undefined) throw new FlowFailure('POLICY_REFUSED', refused);
  if (name !== identity.name && coveringName(identity.certificate, name) === undefined) {
    throw new FlowFailure('ORIGIN_CERT_NAME_MISMATCH', `the client asks for ${name}`);
  }
}

/** The origin was dialled before the client had said what it offers at least. */
function refuseBelowFloor({ policy }: Flow, { identity, tls }: OriginLeg, hello: ClientHello): void {
  const { version, cipher, group = '' } = tls;
  if (opensOldProtocol(policy.exceptionFor(identity.name))) return;
  const breach = floorBreach(originFloorOf(hello), { version, cipher, group });
  if (breach !== undefined) throw new FlowFailure('ORIGIN_TLS_TOO_WEAK', breach);
}

function ignore(): void {}
