import { statSync } from 'node:fs';
import { type LoadedConfig, loadConfig } from '../config/load.ts';
import { problemText } from '../config/problem.ts';
import { FlowFailure } from '../core/failures.ts';
import type { PolicyDocument } from '../core/policy.ts';
import { type Authority, loadOrCreateAuthority, ownCertificates } from '../pki/authority.ts';
import { protectKeys } from '../pki/key-protection.ts';
import { readPassphrase } from '../pki/passphrase-file.ts';
import { loadRoots } from '../pki/trust-store.ts';

/** A configuration with everything that control adds to it: the authority and trusted roots. */
export interface LoadedPolicy {
  readonly document: PolicyDocument;
  readonly config: LoadedConfig;
  readonly authority: Authority;
  /** What loading has changed or left out, for the log. */
  readonly notes: readonly string[];
}

/** A configuration that is not valid, and the files that a correction may change. */
export class ConfigRejected extends FlowFailure {
  readonly files: readonly string[];

  constructor(detail: string, files: readonly string[]) {
    super('GATEWAY_CONFIG_INVALID', detail);
    this.files = files;
  }
}

/** Valid where a gateway begins; one that runs takes it for a file whose writing was cut short, by a full disk say. */
function refuseEmptied(files: readonly string[], watched: readonly string[]): void {
  const emptied = files.filter((file) => statSync(file, { throwIfNoEntry: false })?.size === 0);
  if (emptied.length === 0) return;
  const lines = emptied.map((file) => `${file}:1:1: is empty: write it anew, or start the gateway anew to have it so`);
  throw new ConfigRejected(lines.join('\n'), watched);
}

/**
 * Loads configuration, authority and roots as one. Throws FlowFailure with a code of the catalogue; the detail of
 * GATEWAY_CONFIG_INVALID holds every problem with its file and line.
 */
export async function loadPolicy(file: string, isReload = false): Promise<LoadedPolicy> {
  const outcome = loadConfig(file);
  if (outcome.kind === 'failed') {
    throw new ConfigRejected(outcome.problems.map(problemText).join('\n'), outcome.files);
  }
  const { config } = outcome;
  if (isReload) refuseEmptied([file, ...config.ruleFiles], config.files);
  const { authorityDirectory, authorityPassphraseFile } = config;
  if (authorityPassphraseFile !== undefined) {
    protectKeys(authorityDirectory, await readPassphrase(authorityPassphraseFile));
  }
  const authority = await loadOrCreateAuthority(authorityDirectory);
  const skipped: string[] = [];
  const ownPem = ownCertificates(authority);
  const rootsPem = loadRoots({
    ...config.originTrust,
    refuseKeysOf: ownPem,
    onSkipped: (reason) => skipped.push(reason),
  });
  const { fingerprint256, keyType } = authority.active;
  const document: PolicyDocument = {
    ...config.policy,
    authority: { fingerprint: fingerprint256, keyType },
    originTrust: { rootsPem, ownPem, fetchIntermediates: config.originTrust.fetchIntermediates },
  };
  return { document, config, authority, notes: [...authority.changes, ...skippedNote(skipped)] };
}

/** Expired roots that a distribution still carries are no news each. */
function skippedNote(skipped: readonly string[]): readonly string[] {
  return skipped.length === 0 ? [] : [`roots of the system left out: ${skipped.length}, e.g. ${skipped[0]}`];
}
