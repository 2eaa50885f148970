import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** Folder of extracts of public captures, which are no part of the project. */
const folder = process.env.DAYLIGHT_VECTORS ?? fileURLToPath(new URL('../../../shared/vectors', import.meta.url));

/** Reads a file of vectors, one JSON value a line; undefined, with a warning, where the folder does not exist. */
export function readPublicVectors<T>(name: string): readonly T[] | undefined {
  const path = `${folder}/${name}`;
  if (!existsSync(path)) {
    console.warn(`SKIPPED: ${name} is not there; set DAYLIGHT_VECTORS to the folder of public vectors`);
    return undefined;
  }
  const lines = readFileSync(path, 'utf8').trim().split('\n');
  return lines.map((line) => JSON.parse(line) as T);
}
