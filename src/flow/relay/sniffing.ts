import { recogniseBanner, recogniseOpening } from '../../codec/first-bytes.ts';
import type { FailureCode } from '../../core/failures.ts';
import type { Relay, Wire } from '../../core/relay.ts';
import type { Side } from '../../core/side.ts';

export interface SniffingOptions {
  readonly wire: Wire;
  readonly http: () => Relay;
  readonly opaque: (protocol: string) => Relay;
  /** Policy: what is not HTTP is refused. */
  readonly refuseOpaque: boolean;
}

/**
 * Stands where no ALPN told the protocol: the first bytes of whoever speaks first choose the relay, without any timer,
 * so that a slow HTTP client is inspected as much as a fast one.
 */
export function createSniffingRelay(options: SniffingOptions): Relay {
  let chosen: Relay | undefined;
  let held: Buffer = Buffer.alloc(0);

  const choose = (relay: Relay, from: Side): void => {
    chosen = relay;
    const bytes = held;
    held = Buffer.alloc(0);
    if (bytes.length > 0) relay.receive(from, bytes);
  };
  const chooseOpaque = (protocol: string, from: Side): void => {
    if (options.refuseOpaque) options.wire.abort('CLIENT_NOT_TLS', protocol);
    else choose(options.opaque(protocol), from);
  };

  return {
    receive(from, bytes) {
      if (chosen !== undefined) return chosen.receive(from, bytes);
      held = held.length === 0 ? bytes : Buffer.concat([held, bytes]);
      if (from === 'origin') return chooseOpaque(recogniseBanner(held) ?? 'unknown', 'origin');
      const opening = recogniseOpening(held);
      if (opening.kind === 'http1') choose(options.http(), 'client');
      else if (opening.kind !== 'partial') chooseOpaque(nameOf(opening), 'client');
    },
    end(from, clean) {
      if (chosen === undefined) chooseOpaque('unknown', 'client');
      chosen?.end(from, clean);
    },
    cut: (code: FailureCode, detail: string) => chosen?.cut(code, detail),
    timedOut: () => {
      if (chosen?.timedOut === undefined) options.wire.abort('CLIENT_IDLE_TIMEOUT', 'no byte within the idle limit');
      else chosen.timedOut();
    },
    tick: (nowMs) => chosen?.tick?.(nowMs),
    idle: () => (chosen === undefined ? held.length === 0 : (chosen.idle?.() ?? false)),
  };
}

function nameOf(opening: { readonly kind: string; readonly protocol?: string }): string {
  return opening.protocol ?? opening.kind;
}
