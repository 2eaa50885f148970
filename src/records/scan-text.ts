import { limits } from '../core/limits.ts';
import type { ScanFacts } from '../core/record.ts';
import { cut } from './header-text.ts';
import type { JsonObject } from './json.ts';
import { maskText } from './redact.ts';

/** What a content scanner said. */
export function scanPart({ scanner, message, part, outcome, detail, failure, durationMs }: ScanFacts): JsonObject {
  const text = detail === undefined ? undefined : cut(maskText(detail), limits.recordDetailBytes);
  return { scanner, message, part, outcome, detail: text, failure, duration: durationMs };
}
