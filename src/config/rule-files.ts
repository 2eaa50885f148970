import type { RuleDocument } from '../core/rule-document.ts';
import { parseRuleFile } from '../rules/rule-file.ts';
import { type InputFiles, isPattern } from './input-files.ts';
import type { Problem } from './problem.ts';
import type { Config } from './schema.ts';
import type { Source } from './source.ts';

/** The rules of all rule files, in the order of the files; what is wrong with them is noted with its file and line. */
export interface LoadedRules {
  readonly rules: readonly RuleDocument[];
  readonly files: readonly string[];
  readonly problems: readonly Problem[];
}

/** Reads every rule file that the configuration names. */
export function readRules(config: Config, source: Source, inputs: InputFiles): LoadedRules {
  const files = new Set(
    config.rules.files.flatMap((pattern, index) => filesFor(pattern, config.rules, ['files', index], source, inputs)),
  );
  const problems: Problem[] = [];
  const rules: RuleDocument[] = [];
  for (const file of files) {
    const content = inputs.read(file);
    if (content.kind === 'unreadable') {
      problems.push({ file, line: 1, column: 1, path: '', message: content.message });
      continue;
    }
    const parsed = parseRuleFile(content.text, file);
    problems.push(...parsed.problems.map(({ line, message }) => ({ file, line, column: 1, path: '', message })));
    rules.push(...parsed.rules);
  }
  return { rules, files: [...files], problems: [...problems, ...repeatedIds(rules)] };
}

/** The files that a pattern stands for; none is a warning, a single file that is missing a problem. */
export function filesFor(
  pattern: string,
  about: object,
  below: readonly (string | number)[],
  source: Source,
  inputs: InputFiles,
): readonly string[] {
  const found = inputs.expand(pattern);
  if (found.length > 0) return found;
  if (isPattern(pattern)) source.warn(about, below, `no file fits ${pattern}`);
  else source.report(about, below, `${pattern} does not exist`);
  return [];
}

/** An id names one rule in every alarm, so two files may not share one. */
function repeatedIds(rules: readonly RuleDocument[]): readonly Problem[] {
  const first = new Map<string, RuleDocument>();
  return rules.flatMap((rule) => {
    const earlier = first.get(rule.id);
    if (earlier === undefined) first.set(rule.id, rule);
    if (earlier === undefined || placeOf(earlier).file === placeOf(rule).file) return [];
    return [{ ...placeOf(rule), column: 1, path: '', message: `rule ${rule.id} stands already at ${earlier.source}` }];
  });
}

function placeOf(rule: RuleDocument): { file: string; line: number } {
  const [, file = rule.source, line = '1'] = /^(.*):(\d+)$/.exec(rule.source) ?? [];
  return { file, line: Number(line) };
}
