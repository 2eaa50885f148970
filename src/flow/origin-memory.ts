/** Remembers something of origins for a bounded time, and of a bounded number of them: the first noted goes first. */
export class OriginMemory {
  readonly #untilMs = new Map<string, number>();
  readonly #entries: number;
  readonly #durationMs: number;

  constructor(entries: number, durationMs: number) {
    this.#entries = entries;
    this.#durationMs = durationMs;
  }

  has(origin: string, nowMs: number): boolean {
    return nowMs < (this.#untilMs.get(origin) ?? 0);
  }

  note(origin: string, nowMs: number): void {
    this.#untilMs.delete(origin);
    this.#untilMs.set(origin, nowMs + this.#durationMs);
    for (const oldest of this.#untilMs.keys()) {
      if (this.#untilMs.size <= this.#entries) return;
      this.#untilMs.delete(oldest);
    }
  }

  forget(origin: string): void {
    this.#untilMs.delete(origin);
  }
}
