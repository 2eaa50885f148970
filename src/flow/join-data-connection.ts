import { connect, type Socket } from 'node:net';
import type { Destination } from '../core/endpoint.ts';
import { FlowFailure } from '../core/failures.ts';
import { limits } from '../core/limits.ts';
import type { Decision } from '../core/record.ts';
import { resetConnection } from '../net/reset.ts';
import { splice } from '../net/splice.ts';
import type { Expected } from './data-expectations.ts';
import { decideOnDestination } from './decide-destination.ts';
import { type Flow, setDestination } from './flow.ts';

/**
 * A request of the explicit proxy for a connection that a session of files waits for: it is led there in place of the
 * origin. False when nobody waits for it. Rejects with FlowFailure, before the client was answered.
 */
export async function joinDataConnection(flow: Flow, destination: Destination, answer: Buffer): Promise<boolean> {
  const { expectations } = flow.plane;
  const expected = expectations.isEmpty ? undefined : expectations.find(destination);
  if (expected === undefined) return false;
  const decision = decideOnData(flow, destination);
  if (decision.kind === 'refuse') throw new FlowFailure('POLICY_REFUSED', decision.reason);
  flow.facts.protocol = 'ftp-data';
  refuseStranger(flow, expected);
  if (expected.kind === 'here') await handOver(flow, expected, answer);
  else await passOn(flow, expected, answer);
  return true;
}

/** Our own address stands for that of an origin which a proxy reaches: policy on addresses does not mean it. */
function decideOnData(flow: Flow, destination: Destination): Decision {
  const { facts } = flow;
  if (destination.host !== facts.gateway.ip) return decideOnDestination(flow, destination);
  setDestination(flow, destination);
  facts.decision = { kind: 'intercept', reason: 'data connection of a session' };
  return facts.decision;
}

/**
 * A session waits for the connection that was just dialled: by another name of its origin its file would pass unread.
 * Behind a proxy, where nobody here knows what a name leads to, the port of a session of the same client is enough.
 */
export function refuseUnreadData({ facts, plane }: Flow): void {
  const { origin, destination, client, upstreamProxy } = facts;
  if (plane.expectations.isEmpty || origin === undefined || destination === undefined) return;
  const isProxied = upstreamProxy !== undefined;
  const isKnown = !isProxied && plane.expectations.find({ host: origin.ip, port: origin.port }) !== undefined;
  if (!isKnown && !plane.expectations.mayBeOf(client.ip, destination.port, isProxied)) return;
  facts.protocol = 'ftp-data';
  throw new FlowFailure('CLIENT_FTP_HIJACK', 'a data connection by another name of its origin');
}

function refuseStranger({ facts }: Flow, expected: Expected): void {
  if (facts.client.ip === expected.clientIp) return;
  if (expected.kind === 'here') expected.stranger(facts.client);
  throw new FlowFailure('CLIENT_FTP_HIJACK', 'the data connection of another client');
}

/** The session has the connection from now on; the flow only lasts as long. */
function handOver(flow: Flow, expected: Extract<Expected, { kind: 'here' }>, answer: Buffer): Promise<void> {
  const { client } = flow;
  return new Promise((resolve) => {
    const closed = (): void => {
      flow.facts.bytesFromClient = client.bytesRead;
      flow.facts.bytesFromOrigin = client.bytesWritten;
      resolve();
    };
    if (client.destroyed) return closed();
    client.once('close', closed);
    flow.cut = (code) => {
      flow.facts.failure ??= code;
      resetConnection(client);
    };
    flow.answerLayer = 'told';
    client.write(answer);
    expected.take(client);
  });
}

/** Another relay has the session: bytes pass to it over the loopback. */
async function passOn(flow: Flow, expected: Extract<Expected, { kind: 'elsewhere' }>, answer: Buffer): Promise<void> {
  const relay = await reach(expected.handOverPort);
  relay.write(Buffer.from(expected.token, 'hex'));
  flow.client.write(answer);
  flow.answerLayer = 'told';
  const { idleMs } = flow.policy.document.timeouts;
  // The relay of the session knows whether anything is to be waited for.
  const outcome = await splice(flow.client, relay, { idleTimeoutMs: idleMs });
  flow.facts.bytesFromClient = outcome.bytesFromClient;
  flow.facts.bytesFromOrigin = outcome.bytesFromOrigin;
}

function reach(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true, noDelay: true });
    const fail = (): void => {
      socket.destroy();
      reject(new FlowFailure('GATEWAY_RELAY_CRASHED', 'the relay that expects the data connection is gone'));
    };
    const timer = setTimeout(fail, limits.ftpHandOverMs);
    socket.on('error', () => {});
    socket.once('close', fail);
    socket.once('connect', () => {
      clearTimeout(timer);
      socket.off('close', fail);
      resolve(socket);
    });
  });
}
