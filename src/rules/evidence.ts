import type { BodyEvent } from './body-edges.ts';
import { excerptOf, maskedExcerpt } from './excerpt.ts';
import type { HeadHit } from './head-test.ts';

/** What a match tells of the place that decided it. */
export interface Decisive {
  readonly field: string;
  readonly offset: number;
  readonly excerpt: string;
}

interface Entry {
  readonly leaf: number;
  readonly field: string;
  readonly at: HeadHit | BodyEvent;
}

/** Where the leaves of one transaction were true; put into words only for a rule that is. */
export class Evidence {
  #entries: Entry[] | undefined;

  add(leaf: number, field: string, at: HeadHit | BodyEvent): void {
    this.#entries ??= [];
    this.#entries.push({ leaf, field, at });
  }

  /** What there is of the last of some leaves that was true. */
  of(leaves: readonly number[]): Decisive | undefined {
    let decisive: Entry | undefined;
    for (const leaf of leaves) decisive = this.#entries?.findLast((entry) => entry.leaf === leaf) ?? decisive;
    if (decisive === undefined) return undefined;
    const { field, at } = decisive;
    if ('holds' in at) return { field, offset: at.offset, excerpt: at.excerpt };
    const { value, offset, length, excerpt } = at;
    return {
      field,
      offset,
      excerpt: excerpt === undefined ? excerptOf(field, value, offset, length) : maskedExcerpt(excerpt),
    };
  }
}
