/** Waiting beyond this at one host is given up at once: its answers would come too late. */
const mostWaiting = 16;

/** Lets a few tasks run for each host at once; the others wait, or are turned away when too many do. */
export class FetchSlots {
  readonly #perHost: number;
  readonly #hosts = new Map<string, { running: number; readonly waiting: (() => void)[] }>();

  constructor(perHost: number) {
    this.#perHost = perHost;
  }

  /** Resolves when the task may run; undefined when too many wait. Whoever was let in calls `leave`. */
  enter(host: string): Promise<void> | undefined {
    const slots = this.#hosts.get(host) ?? { running: 0, waiting: [] };
    this.#hosts.set(host, slots);
    if (slots.running < this.#perHost) {
      slots.running += 1;
      return Promise.resolve();
    }
    if (slots.waiting.length >= mostWaiting) return undefined;
    return new Promise((resolve) => slots.waiting.push(resolve));
  }

  leave(host: string): void {
    const slots = this.#hosts.get(host);
    const next = slots?.waiting.shift();
    if (next !== undefined) return next();
    if (slots === undefined) return;
    slots.running -= 1;
    if (slots.running === 0) this.#hosts.delete(host);
  }
}
