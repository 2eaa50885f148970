import { isHttp2Greeting, recogniseBanner, recogniseOpening } from '../../codec/first-bytes.ts';
import { isPartialGreeting } from '../../codec/server-banner.ts';
import type { FailureCode } from '../../core/failures.ts';
import type { Opening } from '../../core/opening.ts';
import type { Relay, Wire } from '../../core/relay.ts';

export interface SniffingOptions {
  readonly wire: Wire;
  readonly http: () => Relay;
  /** The relay of a protocol whose server speaks first; undefined where there is none. */
  readonly greeted: (protocol: string) => Relay | undefined;
  /** Undefined where policy switches HTTP/2 off. */
  readonly http2?: (() => Relay) | undefined;
  readonly opaque: (protocol: string) => Relay;
  /** Policy: what is not HTTP is refused. */
  readonly refuseOpaque: boolean;
}

/**
 * Stands where nothing else told the protocol: the first bytes of whoever speaks first choose the relay, without any
 * timer, so that a slow HTTP client is inspected as much as a fast one.
 */
export function createSniffingRelay(options: SniffingOptions): Relay {
  const { wire } = options;
  let chosen: Relay | undefined;
  /** Bytes of the client that do not tell yet what they are. */
  let held: Buffer = Buffer.alloc(0);
  /** A greeting whose first line is not whole. */
  let heldGreeting: Buffer = Buffer.alloc(0);

  const choose = (relay: Relay): void => {
    chosen = relay;
    const [greeting, bytes] = [heldGreeting, held];
    heldGreeting = Buffer.alloc(0);
    held = Buffer.alloc(0);
    if (greeting.length > 0) relay.receive('origin', greeting);
    if (bytes.length > 0) relay.receive('client', bytes);
  };
  const chooseOpaque = (protocol: string): void => {
    const greeted = options.greeted(protocol);
    if (greeted !== undefined) choose(greeted);
    else if (options.refuseOpaque) wire.abort('CLIENT_NOT_TLS', protocol);
    else choose(options.opaque(protocol));
  };
  const chooseFor = (opening: Exclude<Opening, { kind: 'silent' }>): void => {
    switch (opening.kind) {
      case 'http1':
        return choose(options.http());
      case 'http2':
        if (options.http2 !== undefined) return choose(options.http2());
        // It is HTTP, and policy has nobody read it: passed on it would escape inspection.
        return wire.abort('CLIENT_HTTP_VERSION', 'HTTP/2 without ALPN');
      case 'opaque':
        return chooseOpaque(opening.protocol);
      case 'tls':
      case 'malformed':
        return chooseOpaque('tls');
    }
  };

  return {
    receive(from, bytes) {
      if (chosen !== undefined) return chosen.receive(from, bytes);
      if (from === 'origin') {
        heldGreeting = heldGreeting.length === 0 ? bytes : Buffer.concat([heldGreeting, bytes]);
        if (isHttp2Greeting(heldGreeting)) return chooseFor({ kind: 'http2' });
        // Half a line tells too little, and a wrong guess would let mail pass unread.
        if (!isPartialGreeting(heldGreeting)) chooseOpaque(recogniseBanner(heldGreeting) ?? 'unknown');
        return;
      }
      held = held.length === 0 ? bytes : Buffer.concat([held, bytes]);
      const opening = recogniseOpening(held);
      if (opening.kind !== 'partial' && opening.kind !== 'silent') chooseFor(opening);
    },
    end(from, clean) {
      // Nobody has said anything that policy could refuse.
      if (chosen === undefined && held.length + heldGreeting.length === 0 && clean && options.refuseOpaque)
        return wire.close();
      if (chosen === undefined) chooseOpaque('unknown');
      chosen?.end(from, clean);
    },
    cut: (code: FailureCode, detail: string) => chosen?.cut(code, detail),
    timedOut: () => {
      if (chosen?.timedOut === undefined) wire.abort('CLIENT_IDLE_TIMEOUT', 'no byte within the idle limit');
      else chosen.timedOut();
    },
    get tellsSilence() {
      return chosen?.tellsSilence;
    },
    get tellsEnd() {
      return chosen?.tellsEnd;
    },
    drained: (side) => chosen?.drained?.(side),
    upgraded: () => chosen?.upgraded?.(),
    upgradeFailed: (code, detail) => chosen?.upgradeFailed?.(code, detail),
    tick: (nowMs) => chosen?.tick?.(nowMs),
    drain: () => chosen?.drain?.(),
    idle: () => (chosen === undefined ? held.length + heldGreeting.length === 0 : (chosen.idle?.() ?? false)),
  };
}
