import type { Socket } from 'node:net';
import type { Address } from '../core/endpoint.ts';
import { FlowFailure } from '../core/failures.ts';
import { type DataListener, type DataPlace, listenForData } from '../net/data-listener.ts';
import { dialTcp } from '../net/dial.ts';
import type { Flow } from './flow.ts';

/** How both peers of a data connection meet the gateway: one connects to it, the other is connected to. */
export interface DataMeeting {
  readonly meet: (accepted: (socket: Socket) => void) => Promise<DataListener>;
  readonly dial: () => Promise<Socket>;
}

/** Told of somebody who wanted another's file. */
export type Stranger = (address: Address) => void;

/**
 * Whether the data connections of a session can be led through the gateway. Programs of the gateway host are captured on
 * their way out, where no socket can wait for them; behind an upstream proxy the origin's own address is not known.
 */
export function canMeet({ facts, listener }: Flow): boolean {
  if (facts.upstreamProxy !== undefined) return false;
  const isLocal = facts.gateway.ip.startsWith('127.') || facts.gateway.ip === '::1';
  switch (listener.mode) {
    case 'reverse':
      return listener.originTls === 'as-client';
    case 'transparent':
      return listener.capture === 'tproxy' || !isLocal;
    case 'explicit':
      return true;
  }
}

/** The client connects to where the origin listens, or seems to. */
export function passiveMeeting(flow: Flow, originPort: number, stranger: Stranger): DataMeeting {
  const { client, destination } = flow.facts;
  const origin = originOf(flow);
  return {
    meet(accepted) {
      if (flow.listener.mode === 'explicit') {
        const hosts = [...new Set([origin.ip, destination?.host ?? origin.ip])];
        const place = { clientIp: client.ip, hosts, port: originPort };
        return flow.plane.expectations.expect(place, origin.ip, accepted, stranger);
      }
      return listenForData({ place: passivePlace(flow, originPort), acceptFrom: client.ip, accepted, stranger });
    },
    dial: () => dial(flow, { ip: origin.ip, port: originPort }, spoofOf(flow)),
  };
}

/** The origin connects to where the client listens, or seems to. */
export function activeMeeting(flow: Flow, clientPort: number, stranger: Stranger): DataMeeting {
  const { client, originLocal } = flow.facts;
  const origin = originOf(flow);
  if (originLocal === undefined) throw new FlowFailure('ORIGIN_GONE', 'before a data connection');
  const place: DataPlace =
    spoofOf(flow) === undefined
      ? { kind: 'own', ip: originLocal.ip }
      : { kind: 'tproxy', ip: client.ip, port: clientPort };
  // A client that looks whom it talks to expects the origin; only TPROXY may speak in its name.
  const isTproxy = flow.listener.mode === 'transparent' && flow.listener.capture === 'tproxy';
  return {
    meet: (accepted) => listenForData({ place, acceptFrom: origin.ip, accepted, stranger }),
    dial: () => dial(flow, { ip: client.ip, port: clientPort }, isTproxy ? origin : undefined),
  };
}

function passivePlace({ facts, listener }: Flow, originPort: number): DataPlace {
  const { gateway, origin, destination } = facts;
  const ip = destination?.ip ?? origin?.ip ?? '';
  if (listener.mode !== 'transparent') return { kind: 'own', ip: gateway.ip };
  if (listener.capture === 'redirect') return { kind: 'redirect', ip, ownIp: gateway.ip };
  return { kind: 'tproxy', ip, port: originPort };
}

/** The client, where origins are shown its address. */
function spoofOf({ facts, listener }: Flow): Address | undefined {
  return listener.mode === 'transparent' && listener.spoofClient ? facts.client : undefined;
}

function originOf({ facts }: Flow): Address {
  if (facts.origin === undefined) throw new FlowFailure('ORIGIN_GONE', 'before a data connection');
  return facts.origin;
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
