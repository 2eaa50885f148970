import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { readBypassFiles } from './bypass-files.ts';
import { readClientCertificates, readOwnCertificates, readTrustFiles } from './certificate-files.ts';
import { crossCheck } from './cross-check.ts';
import { InputFiles } from './input-files.ts';
import { type ConfiguredPolicy, contentDigestOf, policyFromConfig, versionOf } from './policy-from-config.ts';
import type { Problem } from './problem.ts';
import { readFile } from './read-value.ts';
import { readRules } from './rule-files.ts';
import { schema } from './schema.ts';
import { Source } from './source.ts';

/** A configuration that is valid as a whole. */
export interface LoadedConfig {
  readonly policy: ConfiguredPolicy;
  /** Differs whenever anything does, passwords included, unlike `policy.version`. Never written anywhere. */
  readonly contentDigest: string;
  readonly authorityDirectory: string;
  /** Where control finds the passphrase of the authority's keys. */
  readonly authorityPassphraseFile: string | undefined;
  /** Whether leafs begin before they are issued. */
  readonly backdatesLeafs: boolean;
  /** `files` are absolute paths. */
  readonly originTrust: {
    readonly system: boolean;
    readonly files: readonly string[];
    readonly fetchIntermediates: boolean;
  };
  readonly relays: number;
  /** Absolute paths and patterns of everything that was read: what to watch. */
  readonly files: readonly string[];
  readonly ruleFiles: readonly string[];
  /** Allowed, but probably not meant. */
  readonly warnings: readonly Problem[];
}

export type LoadOutcome =
  | { readonly kind: 'loaded'; readonly config: LoadedConfig }
  | { readonly kind: 'failed'; readonly problems: readonly Problem[]; readonly files: readonly string[] };

/**
 * Loads a configuration file with all files that it names. All or nothing: either it is valid as a whole, or every
 * problem is listed with its file and line. Relative paths start at `directory`, as in the command line, wherever the
 * file itself stands.
 */
export function loadConfig(file: string, directory: string = process.cwd()): LoadOutcome {
  const inputs = new InputFiles(directory);
  const text = inputs.read(file);
  if (text.kind === 'unreadable') return failed([unreadable(file, text.message)], inputs);
  const source = new Source(file, text.text);
  // Half of a broken file would only yield errors about what the other half would have said.
  if (source.broken) return failed(source.problems, inputs);
  const config = readFile(source, schema);
  crossCheck(config, source);
  const trusted = readTrustFiles(config, source, inputs);
  const own = [...readOwnCertificates(config, source, inputs), ...readClientCertificates(config, source, inputs)];
  const { rules, files, problems } = readRules(config, source, inputs);
  const exempt = readBypassFiles(config, source, inputs);
  const draft = policyFromConfig({ ...config, bypass: exempt.bypass }, rules, source, inputs);
  const elsewhere = [...exempt.problems, ...problems];
  if (source.problems.length + elsewhere.length > 0) return failed([...inOrder(source.problems), ...elsewhere], inputs);
  const { originTrust, authority, relays } = config;
  // Control reads it; a rotation of the CA is a change like any other.
  inputs.watch(join(authority.directory, 'ca.pem'));
  const content = [draft, originTrust.system, originTrust.fetchIntermediates, trusted, own, authority, relays];
  return {
    kind: 'loaded',
    config: {
      policy: { version: versionOf(content), ...draft },
      contentDigest: contentDigestOf(content),
      authorityDirectory: inputs.resolve(authority.directory),
      originTrust: { ...originTrust, files: originTrust.files.map((path) => inputs.resolve(path)) },
      authorityPassphraseFile: authority.passphraseFile && inputs.resolve(authority.passphraseFile),
      backdatesLeafs: authority.backdate,
      relays: relays === 'auto' ? availableParallelism() : relays,
      files: inputs.watched,
      ruleFiles: files,
      warnings: source.warnings,
    },
  };
}

function failed(problems: readonly Problem[], inputs: InputFiles): LoadOutcome {
  return { kind: 'failed', problems, files: inputs.watched };
}

function unreadable(file: string, message: string): Problem {
  return { file, line: 1, column: 1, path: '', message };
}

function inOrder(problems: readonly Problem[]): readonly Problem[] {
  return problems.toSorted((a, b) => a.line - b.line || a.column - b.column);
}
