/** Something that wants to be called about once a second. */
export interface Ticking {
  tick(nowMs: number): void;
}

const tickMs = 1_000;
let nowMs = performance.now();
const members = new Set<Ticking>();
let timer: NodeJS.Timeout | undefined;

/** Milliseconds since an arbitrary start, true to a second: time limits of flows need no clock call per chunk. */
export function coarseNowMs(): number {
  return nowMs;
}

/** One timer for all flows: thousands of idle connections cost one wake-up a second instead of a timer each. */
export const ticker = {
  add(member: Ticking): void {
    members.add(member);
    if (timer !== undefined) return;
    nowMs = performance.now();
    timer = setInterval(tickAll, tickMs);
    timer.unref();
  },
  delete(member: Ticking): void {
    members.delete(member);
    if (members.size > 0 || timer === undefined) return;
    clearInterval(timer);
    timer = undefined;
  },
};

function tickAll(): void {
  nowMs = performance.now();
  for (const member of members) member.tick(nowMs);
}
