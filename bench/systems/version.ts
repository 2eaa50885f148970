import { spawnSync } from 'node:child_process';

/** First match of `pattern` in what a program prints about itself, or undefined when it cannot be run. */
export function versionOf(command: string, args: readonly string[], pattern: RegExp): string | undefined {
  const { stdout, stderr, error } = spawnSync(command, [...args], { encoding: 'utf8' });
  return error === undefined ? (pattern.exec(`${stdout}${stderr}`)?.[0] ?? 'unknown version') : undefined;
}
