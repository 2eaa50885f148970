import { existsSync, readdirSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';

export interface RotationPolicy {
  readonly rotateBytes: number;
  readonly rotateSeconds: number;
  /** Rotated files kept; 0 keeps all. */
  readonly keep: number;
}

/** Whether a log of this size and age gives way to a new file. */
export function isRotationDue(policy: RotationPolicy, bytes: number, ageMs: number): boolean {
  const { rotateBytes, rotateSeconds } = policy;
  return (rotateBytes > 0 && bytes >= rotateBytes) || (rotateSeconds > 0 && ageMs >= rotateSeconds * 1_000);
}

/** Name of a rotated file: the UTC time of the rotation, or the next millisecond that no file is named by yet. */
export function rotatedName(directory: string, name: string, nowMs: number): string {
  for (let timeMs = nowMs; ; timeMs += 1) {
    const candidate = `${name}.${new Date(timeMs).toISOString().replace(/[-:.]/g, '')}.ndjson`;
    if (!existsSync(join(directory, candidate))) return candidate;
  }
}

/** Removes the oldest rotated files of a log beyond `keep`. */
export function removeOldFiles(directory: string, name: string, keep: number): void {
  const rotated = readdirSync(directory)
    .filter((file) => file.startsWith(name) && rotatedPart.test(file.slice(name.length)))
    .sort();
  for (const file of rotated.slice(0, -keep)) unlinkSync(join(directory, file));
}

const rotatedPart = /^\.\d{8}T\d{9}Z\.ndjson$/;
