import { limits } from '../core/limits.ts';
import type { RuleRef } from '../core/verdict.ts';
import type { RedactionScan } from '../rules/redaction.ts';

interface Segment {
  readonly start: number;
  readonly bytes: Buffer;
}

const asterisk = 0x2a;

/**
 * Masks parts of a body in place, byte by byte, so that no length and no framing changes. The relay keeps the last bytes
 * back meanwhile: a place that spans chunks is masked in all of them before the first is forwarded.
 */
export class BodyRedactor {
  readonly #scan: RedactionScan;
  readonly #mayReachBack: boolean;
  readonly #onMask: (from: number, to: number) => void;
  #segments: Segment[] = [];
  #end = 0;
  readonly #counts = new Map<string, number>();
  /** A rule whose place begins in bytes that were forwarded already. */
  late: RuleRef | undefined;

  /** `mayReachBack`: the relay keeps what it is asked to keep. */
  constructor(scan: RedactionScan, mayReachBack: boolean, onMask: (from: number, to: number) => void) {
    this.#onMask = onMask;
    this.#scan = scan;
    this.#mayReachBack = mayReachBack;
  }

  push(chunk: Buffer): void {
    const start = this.#end;
    this.#end += chunk.length;
    // What a relay that keeps nothing was given before is on its way.
    if (!this.#mayReachBack) this.#segments = [];
    this.#segments.push({ start, bytes: chunk });
    this.#mask(this.#scan.push(chunk));
    const needed = this.#end - limits.redactedBytes;
    let passed = 0;
    for (const { start, bytes } of this.#segments) if (start + bytes.length <= needed) passed++;
    if (passed > 0) this.#segments.splice(0, passed);
  }

  /** Masks what only the end of the body shows. */
  end(): void {
    this.#mask(this.#scan.end());
    this.#segments = [];
  }

  /** What was changed, in the words of the record. */
  notes(message: 'request' | 'response'): readonly string[] {
    return [...this.#counts].map(([id, count]) => `${message} body masked: ${count} (rule ${id})`);
  }

  #mask(ranges: ReturnType<RedactionScan['push']>): void {
    for (const { from, to, rule } of ranges) {
      if (from < (this.#segments[0]?.start ?? 0)) this.late ??= rule;
      this.#counts.set(rule.id, (this.#counts.get(rule.id) ?? 0) + 1);
      this.#onMask(from, to);
      for (const { start, bytes } of this.#segments) {
        if (from >= start + bytes.length || to <= start) continue;
        bytes.fill(asterisk, Math.max(0, from - start), Math.min(bytes.length, to - start));
      }
    }
  }
}
