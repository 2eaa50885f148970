/** Time between two looks at the clocks. A turn of the event loop that takes longer delays the next look. */
const everyMs = 20;

/** The worst of what was seen since it was asked last. */
export interface WorstTurn {
  /** How much later than due the event loop came round: its own work, and that of other programs on the machine. */
  readonly delayMs: number;
  /** CPU time of the thread between two looks: its own work alone, whoever else is busy. At most `everyMs` of it are other turns. */
  readonly cpuMs: number;
}

/** Watches for turns of the event loop in which a process sees to nobody else. */
export class TurnWatch {
  readonly #timer: NodeJS.Timeout;
  #lastMs = performance.now();
  #lastCpuMs = threadCpuMs();
  #delayMs = 0;
  #cpuMs = 0;

  constructor() {
    this.#timer = setInterval(() => this.#look(), everyMs).unref();
  }

  take(): WorstTurn {
    const worst = { delayMs: this.#delayMs, cpuMs: this.#cpuMs };
    this.#delayMs = 0;
    this.#cpuMs = 0;
    return worst;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const nowMs = performance.now();
    const cpuMs = threadCpuMs();
    this.#delayMs = Math.max(this.#delayMs, nowMs - this.#lastMs - everyMs);
    this.#cpuMs = Math.max(this.#cpuMs, cpuMs - this.#lastCpuMs);
    this.#lastMs = nowMs;
    this.#lastCpuMs = cpuMs;
  }
}

function threadCpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1_000;
}
