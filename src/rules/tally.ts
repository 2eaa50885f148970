/** A true place of a test in a body. */
export interface Finding {
  readonly offset: number;
  /** Offset behind the last byte that had to be seen: the moment at which the finding counts. */
  readonly readTo: number;
  readonly excerpt: string;
}

/**
 * Counts the distinct findings of one test. Findings of one chunk count in the order of their moments, so that the way in
 * which a body was cut into chunks changes nothing.
 */
export class Tally {
  readonly #count: number;
  /** Made with the first finding, because most bodies have none. */
  #seen: Set<string> | undefined;
  #fresh: Map<string, Finding> | undefined;
  /** Moment after which no finding can matter. */
  #full = Number.POSITIVE_INFINITY;

  /** Asks for all of a match, not for its first end. */
  get takesLongest(): boolean {
    return false;
  }

  constructor(count: number) {
    this.#count = count;
  }

  /** Whether a finding that is known only after `offset` could still matter. */
  wants(offset: number): boolean {
    return offset < this.#full;
  }

  /** Adds a finding from an offset to an end. `key` is what makes it distinct; `excerpt` is asked for only when it counts. */
  add(key: string, offset: number, _end: number, readTo: number, excerpt: () => string): void {
    this.#seen ??= new Set();
    this.#fresh ??= new Map();
    if (this.#seen.has(key)) return;
    const present = this.#fresh.get(key);
    if (present !== undefined && present.readTo <= readTo) return;
    this.#fresh.set(key, { offset, readTo, excerpt: excerpt() });
    if (this.#seen.size + this.#fresh.size < this.#count) return;
    this.#full = Math.max(...[...this.#fresh.values()].map((finding) => finding.readTo));
  }

  /** Ends a chunk: the finding that made the count full, if one did. */
  settle(): Finding | undefined {
    if (this.#seen === undefined || this.#fresh === undefined || this.#fresh.size === 0) return undefined;
    const ordered = [...this.#fresh].sort(([, a], [, b]) => a.readTo - b.readTo || a.offset - b.offset);
    this.#fresh.clear();
    for (const [key, finding] of ordered) {
      this.#seen.add(key);
      if (this.#seen.size === this.#count) return finding;
    }
    return undefined;
  }
}
