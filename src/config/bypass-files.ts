import { checkBypass } from './cross-check.ts';
import type { InputFiles } from './input-files.ts';
import type { Problem } from './problem.ts';
import { readFile } from './read-value.ts';
import { filesFor } from './rule-files.ts';
import type { Config } from './schema.ts';
import type { ObjectSchema } from './schema-type.ts';
import { Source } from './source.ts';
import { bypass } from './traffic-schema.ts';

/** A file of exemptions: the one list, as the configuration holds it. */
const fileSchema = {
  type: 'object',
  description: 'Exemptions.',
  required: ['bypass'],
  properties: { bypass },
} as const satisfies ObjectSchema;

/** All exemptions: the configuration's own first, then those of the files that it names. */
export function readBypassFiles(
  config: Config,
  source: Source,
  inputs: InputFiles,
): { readonly bypass: Config['bypass']; readonly problems: readonly Problem[] } {
  const files = new Set(
    config.bypassFiles.flatMap((pattern, index) => filesFor(pattern, config, ['bypassFiles', index], source, inputs)),
  );
  const problems: Problem[] = [];
  const entries = [...files].flatMap((file) => {
    const content = inputs.read(file);
    if (content.kind === 'unreadable') {
      problems.push({ file, line: 1, column: 1, path: '', message: content.message });
      return [];
    }
    const own = new Source(file, content.text);
    const list = own.broken ? [] : readFile(own, fileSchema).bypass;
    checkBypass(config, list, own);
    problems.push(...own.problems);
    return list;
  });
  return { bypass: [...config.bypass, ...entries], problems };
}
