import { parseArgs } from 'node:util';
import { loadConfig } from '../config/load.ts';
import { problemText } from '../config/problem.ts';
import { FlowFailure } from '../core/failures.ts';
import { nearest } from '../core/suggest.ts';
import { protectKeys } from '../pki/key-protection.ts';
import { readPassphrase } from '../pki/passphrase-file.ts';
import { readNamedFile } from '../pki/private-files.ts';

/** A command line that cannot be meant. */
export class UsageError extends Error {}

const options = {
  help: { type: 'boolean', default: false },
  config: { type: 'string', default: 'config/daylight.yaml' },
  directory: { type: 'string' },
  'passphrase-file': { type: 'string' },
  json: { type: 'boolean', default: false },
  'key-type': { type: 'string' },
  format: { type: 'string' },
  out: { type: 'string' },
  'password-file': { type: 'string' },
  seal: { type: 'string' },
  intermediate: { type: 'boolean', default: false },
  permit: { type: 'string', multiple: true },
  'root-out': { type: 'string' },
  'with-key': { type: 'boolean', default: false },
  cert: { type: 'string' },
  key: { type: 'string' },
  chain: { type: 'string' },
  p12: { type: 'string' },
  replace: { type: 'boolean', default: false },
  rotate: { type: 'boolean', default: false },
  'activate-at': { type: 'string' },
  activate: { type: 'boolean', default: false },
  finish: { type: 'boolean', default: false },
  cancel: { type: 'boolean', default: false },
} as const;

/** Which options each action takes, beside `--help`, `--config` and `--directory`. */
const allowed = {
  show: ['json'],
  create: ['key-type', 'intermediate', 'permit', 'root-out', 'password-file'],
  export: ['format', 'out', 'password-file', 'with-key'],
  import: ['cert', 'key', 'chain', 'p12', 'password-file', 'replace', 'rotate', 'activate-at'],
  rotate: ['key-type', 'activate-at', 'activate', 'finish', 'cancel'],
  issued: ['json'],
  audit: ['json', 'seal'],
} as const satisfies Record<string, readonly (keyof typeof options)[]>;

export type CaAction = keyof typeof allowed;
export type CaOptions = ReturnType<typeof parseOptions>['values'];

/** Reads the command line; throws UsageError. The action is undefined when only help is asked for. */
export function parseCaArguments(args: readonly string[]): {
  readonly action: CaAction | undefined;
  readonly values: CaOptions;
} {
  const { values, positionals, tokens } = parseOptions(args);
  const [action, ...rest] = positionals;
  if (values.help) return { action: undefined, values };
  if (action === undefined || !isAction(action)) {
    throw new UsageError(action === undefined ? 'which action?' : unknownAction(action));
  }
  if (rest.length > 0) throw new UsageError(`unexpected "${rest[0]}"`);
  const known: readonly string[] = [...allowed[action], 'config', 'directory', 'passphrase-file'];
  for (const token of tokens) {
    if (token.kind === 'option' && !known.includes(token.name)) {
      throw new UsageError(`ca ${action} does not take --${token.name}`);
    }
  }
  return { action, values };
}

function unknownAction(action: string): string {
  const near = nearest(action, Object.keys(allowed));
  return `unknown action "${action}"${near === undefined ? '' : `; did you mean "${near}"?`}`;
}

/** The directory of the authority, its keys open: named, or by the configuration. Throws FlowFailure GATEWAY_CONFIG_INVALID. */
export async function authorityDirectory(values: CaOptions): Promise<string> {
  const { directory, passphraseFile } = authorityPlace(values);
  if (passphraseFile !== undefined) protectKeys(directory, await readPassphrase(passphraseFile));
  return directory;
}

interface AuthorityPlace {
  readonly directory: string;
  readonly passphraseFile: string | undefined;
}

function authorityPlace({ directory, config, 'passphrase-file': passphraseFile }: CaOptions): AuthorityPlace {
  if (directory !== undefined) return { directory, passphraseFile };
  const outcome = loadConfig(config);
  if (outcome.kind === 'loaded') {
    const { authorityDirectory: configured, authorityPassphraseFile } = outcome.config;
    return { directory: configured, passphraseFile: passphraseFile ?? authorityPassphraseFile };
  }
  const lines = outcome.problems.map(problemText);
  throw new FlowFailure(
    'GATEWAY_CONFIG_INVALID',
    [...lines, 'correct it, or name the authority with --directory'].join('\n'),
  );
}

/** The first line of a password file; throws when none is named and one is needed. Never from the command line itself, which all users see. */
export async function readPassword(path: string | undefined, why: string): Promise<string> {
  if (path === undefined) throw new UsageError(`${why} needs --password-file`);
  const [password = ''] = (await readNamedFile(path)).toString('utf8').split(/\r?\n/, 1);
  if (password === '') throw new Error(`${path} holds no password in its first line`);
  return password;
}

/** A time in ISO 8601. */
export function readTime(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const time = /^\d{4}-\d\d-\d\d(?:T[\d:.]+(?:Z|[+-]\d\d:\d\d))?$/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(time)) throw new UsageError(`"${text}" is no time such as 2027-01-31 or 2027-01-31T12:00:00Z`);
  return time;
}

/** One of the words that an option takes. */
export function oneOf<Word extends string>(name: string, text: string, words: readonly Word[]): Word {
  const found = words.find((word) => word === text);
  if (found === undefined) throw new UsageError(`--${name} is one of ${words.join(', ')}`);
  return found;
}

function parseOptions(args: readonly string[]) {
  // What is wrong with the arguments is told by whoever runs commands, as for all of them.
  return parseArgs({ args: [...args], options, allowPositionals: true, strict: true, tokens: true });
}

function isAction(word: string): word is CaAction {
  return Object.hasOwn(allowed, word);
}

/** Awaits the writing of a file that an option names, and says which one it was that cannot be written. */
export async function written<Outcome>(path: string, writing: Promise<Outcome>): Promise<Outcome> {
  try {
    return await writing;
  } catch (error) {
    throw new Error(`${path} cannot be written (${(error as NodeJS.ErrnoException).code ?? String(error)})`);
  }
}
