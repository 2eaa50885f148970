import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const folder = process.env.DAYLIGHT_VECTORS ?? fileURLToPath(new URL('../../../../shared/vectors', import.meta.url));

/** A file of public vectors; undefined, and said so, where it is absent. */
export function publicVectors(name: string): Buffer | undefined {
  const path = join(folder, name);
  if (existsSync(path)) return readFileSync(path);
  console.warn(`SKIPPED: ${name} is not there; set DAYLIGHT_VECTORS to the folder of public vectors`);
  return undefined;
}
