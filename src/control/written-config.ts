import { readFileSync } from 'node:fs';
import { parseDocument } from 'yaml';

/** A configuration as it is written, to be written again with changes. It was loaded before, so it is sound. */
export function writtenConfig(file: string): Readonly<Record<string, unknown>> {
  return (parseDocument(readFileSync(file, 'utf8')).toJS() ?? {}) as Record<string, unknown>;
}
