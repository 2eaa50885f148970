import { join } from 'node:path';
import { canonicalHost } from '../codec/host.ts';
import { readOwnFile, replaceFile } from '../pki/private-files.ts';
import type { LearnedEntry } from './learned-bypasses.ts';

/** Beside the authority: a directory that is private already, and a file that decides what is not inspected. */
const fileName = 'learned-bypasses.json';

/**
 * Reads what an earlier run has learned. Rejects when the file is not the gateway's own or not as it was written: nothing
 * of such a file is believed.
 */
export async function readLearned(directory: string): Promise<readonly LearnedEntry[]> {
  const text = await readOwnFile(join(directory, fileName), true);
  if (text === undefined) return [];
  const content: unknown = JSON.parse(text);
  if (!Array.isArray(content) || !content.every(isEntry)) throw new Error(`${fileName} is not as it was written`);
  return content;
}

/** Writes everything, whole or not at all. */
export function writeLearned(directory: string, entries: readonly LearnedEntry[]): Promise<void> {
  return replaceFile(join(directory, fileName), `${JSON.stringify(entries, null, 1)}\n`, 0o600);
}

function isEntry(value: unknown): value is LearnedEntry {
  const entry = value as Partial<Record<keyof LearnedEntry, unknown>> | null;
  return (
    typeof entry === 'object' &&
    entry !== null &&
    [entry.id, entry.group].every((text) => typeof text === 'string') &&
    typeof entry.host === 'string' &&
    canonicalHost(entry.host) === entry.host &&
    [entry.port, entry.untilMs, entry.firstMs, entry.rejections].every(Number.isSafeInteger) &&
    ['watched', 'pending', 'active'].includes(String(entry.state)) &&
    ['policy', 'operator'].includes(String(entry.by)) &&
    Array.isArray(entry.evidence) &&
    entry.evidence.every(isEvidence)
  );
}

function isEvidence(value: unknown): boolean {
  const evidence = value as Partial<Record<keyof LearnedEntry['evidence'][number], unknown>> | null;
  return (
    typeof evidence === 'object' &&
    evidence !== null &&
    Number.isSafeInteger(evidence.timeMs) &&
    [evidence.sign, evidence.detail, evidence.client, evidence.flowId].every((text) => typeof text === 'string')
  );
}
