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

/** Name of a rotated file: the UTC time of the rotation sorts; a number follows when one has that name already. */
export function rotatedName(directory: string, name: string, nowMs: number): string {
  const stamp = new Date(nowMs).toISOString().replace(/[-:.]/g, '');
  for (let number = 0; ; number += 1) {
    const candidate = `${name}.${stamp}${number === 0 ? '' : `-${number}`}.ndjson`;
    if (!existsSync(join(directory, candidate))) return candidate;
  }
}

/** Removes the oldest rotated files of a log beyond `keep`. */
export function removeOldFiles(directory: string, name: string, keep: number): void {
  const rotated = readdirSync(directory)
    .flatMap((file) => {
      const [, stamp, number = '0'] = (file.startsWith(name) && rotatedPart.exec(file.slice(name.length))) || [];
      return stamp === undefined ? [] : [{ file, stamp, number: Number(number) }];
    })
    .sort((one, other) => one.stamp.localeCompare(other.stamp) || one.number - other.number);
  for (const { file } of rotated.slice(0, -keep)) unlinkSync(join(directory, file));
}

const rotatedPart = /^\.(\d{8}T\d{9}Z)(?:-(\d+))?\.ndjson$/;
