import type { Relay } from '../../core/relay.ts';

/** A relay in whose place another may go on: a session turns out to be of another protocol. */
export function createReplaceableRelay(make: (replace: (next: Relay) => void) => Relay): Relay {
  let current = make((next) => {
    current = next;
  });
  return {
    receive: (from, bytes) => current.receive(from, bytes),
    end: (from, clean) => current.end(from, clean),
    cut: (code, detail) => current.cut(code, detail),
    timedOut: () => current.timedOut?.(),
    get tellsSilence() {
      return current.tellsSilence;
    },
    get tellsEnd() {
      return current.tellsEnd;
    },
    drained: (side) => current.drained?.(side),
    upgraded: () => current.upgraded?.(),
    upgradeFailed: (code, detail) => current.upgradeFailed?.(code, detail),
    tick: (nowMs) => current.tick?.(nowMs),
    drain: () => current.drain?.(),
    idle: () => current.idle?.() ?? false,
  };
}
