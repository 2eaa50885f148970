import { isIP, type Socket } from 'node:net';
import type { Address } from '../core/endpoint.ts';
import { FlowFailure } from '../core/failures.ts';
import { type DataListener, type DataPlace, listenForData } from '../net/data-listener.ts';
import { dialTcp } from '../net/dial.ts';
import { routeTo } from './dial-origin.ts';
import type { Flow } from './flow.ts';

/** How both peers of a data connection meet the gateway: one connects to it, the other is connected to. */
export interface DataMeeting {
  readonly meet: (accepted: (socket: Socket) => void) => Promise<DataListener>;
  readonly dial: () => Promise<Socket>;
  /** `dial` comes before `meet`: a proxy may refuse, and the client is told in place of a data port. */
  readonly dialsFirst?: boolean;
}

/** Told of somebody who wanted another's file. */
export type Stranger = (address: Address) => void;

/**
 * Why the data connections of a session cannot be led through the gateway; undefined where they can. Programs of the
 * gateway host are captured on their way out, where no socket can wait for them.
 */
export function whyUnmet({ facts, listener }: Flow): string | undefined {
  const isLocal = facts.gateway.ip.startsWith('127.') || facts.gateway.ip === '::1';
  switch (listener.mode) {
    case 'reverse':
      return listener.originTls === 'as-client' ? undefined : `FTP unread: originTls ${listener.originTls}`;
    case 'transparent':
      return listener.capture === 'tproxy' || !isLocal ? undefined : 'FTP unread: a program of the gateway host';
    case 'explicit':
      return undefined;
  }
}

/** Whether the origin is reached through a proxy, which can connect to it and not be connected to by it. */
export function isProxied({ facts }: Flow): boolean {
  return facts.upstreamProxy !== undefined;
}

/** The address of the origin, as far as it is known: a proxy resolves names by itself. */
export function originIpOf(flow: Flow): string | undefined {
  const { origin, destination } = flow.facts;
  if (!isProxied(flow)) return origin?.ip;
  const literal = destination !== undefined && isIP(destination.host) !== 0 ? destination.host : undefined;
  return destination?.ip ?? literal;
}

/** The client connects to where the origin listens, or seems to. */
export function passiveMeeting(flow: Flow, originPort: number, stranger: Stranger): DataMeeting {
  const { client, destination } = flow.facts;
  const ip = shownIp(flow);
  return {
    meet(accepted) {
      if (flow.listener.mode === 'explicit') {
        const hosts = [...new Set([ip, destination?.host ?? ip])];
        const who = { clientIp: client.ip, session: flow.facts.flowId };
        const place = { ...who, hosts, port: originPort, isProxied: isProxied(flow) };
        return flow.plane.expectations.expect(place, ip, accepted, stranger);
      }
      return listenForData({ place: passivePlace(flow, originPort), acceptFrom: client.ip, accepted, stranger });
    },
    dial: () => dialData(flow, originPort),
    dialsFirst: isProxied(flow),
  };
}

/** The origin connects to where the client listens, or seems to. */
export function activeMeeting(flow: Flow, clientPort: number, stranger: Stranger): DataMeeting {
  const { client, originLocal, origin } = flow.facts;
  if (originLocal === undefined || origin === undefined) throw goneEarly();
  const place: DataPlace =
    spoofOf(flow) === undefined
      ? { kind: 'own', ip: originLocal.ip }
      : { kind: 'tproxy', ip: client.ip, port: clientPort };
  return {
    meet: (accepted) => listenForData({ place, acceptFrom: origin.ip, accepted, stranger }),
    dial: () => dialClient(flow, clientPort),
  };
}

/** The client listens, and so does its origin, which cannot connect through a proxy: both are connected to. */
export function listeningMeeting(flow: Flow, originPort: number, clientPort: number): DataMeeting {
  return {
    async meet(accepted) {
      accepted(await dialData(flow, originPort));
      return { address: flow.facts.gateway, close: () => {} };
    },
    dial: () => dialClient(flow, clientPort),
  };
}

function passivePlace(flow: Flow, originPort: number): DataPlace {
  const { gateway, destination } = flow.facts;
  const { listener } = flow;
  if (listener.mode !== 'transparent') return { kind: 'own', ip: gateway.ip };
  const ip = destination?.ip ?? originIpOf(flow) ?? '';
  if (listener.capture === 'redirect') return { kind: 'redirect', ip, ownIp: gateway.ip };
  return { kind: 'tproxy', ip, port: originPort };
}

/**
 * The address by which a client of the explicit proxy is to ask for the data connection. Where nobody here knows that of
 * the origin it is our own: the one that the origin gives itself may be that of anybody.
 */
function shownIp(flow: Flow): string {
  const known = originIpOf(flow);
  if (known !== undefined) return known;
  if (isProxied(flow)) return flow.facts.gateway.ip;
  throw goneEarly();
}

/** The client, where origins are shown its address. */
function spoofOf({ facts, listener }: Flow): Address | undefined {
  return listener.mode === 'transparent' && listener.spoofClient ? facts.client : undefined;
}

/** The same origin as on the control connection, by the same way: behind a proxy by its name alone. */
function dialData(flow: Flow, port: number): Promise<Socket> {
  const { origin, destination } = flow.facts;
  if (origin === undefined || destination === undefined) throw goneEarly();
  if (isProxied(flow)) return dialTcp({ ...destination, port }, routeTo(flow, destination));
  return dial(flow, { ip: origin.ip, port }, spoofOf(flow));
}

function dialClient(flow: Flow, port: number): Promise<Socket> {
  const ip = originIpOf(flow);
  // A client that looks whom it talks to expects the origin; only TPROXY may speak in its name.
  const isTproxy = flow.listener.mode === 'transparent' && flow.listener.capture === 'tproxy';
  return dial(flow, { ip: flow.facts.client.ip, port }, isTproxy && ip !== undefined ? { ip, port: 0 } : undefined);
}

function dial({ policy }: Flow, { ip, port }: Address, spoof: Address | undefined): Promise<Socket> {
  return dialTcp(
    { host: ip, ip, port },
    {
      timeoutMs: policy.document.timeouts.connectMs,
      forbidden: policy.forbidden,
      ...(spoof === undefined ? {} : { spoof }),
    },
  );
}

function goneEarly(): FlowFailure {
  return new FlowFailure('ORIGIN_GONE', 'before a data connection');
}
