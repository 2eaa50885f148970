import { compileHostPatterns } from '../codec/host.ts';
import type { ScannerPolicy } from '../core/scanner.ts';
import { IcapClient } from '../net/icap-client.ts';

/** A content scanner, ready to be asked. */
export interface Scanner {
  readonly policy: ScannerPolicy;
  readonly client: IcapClient;
}

/** What a message or flow leads to. */
export interface Leading {
  /** All hosts that it names or goes to. */
  readonly hosts: readonly string[];
  /** Those of them that it certainly goes to, whatever its client claims, and that it asks there for. */
  readonly certainHosts: readonly string[];
  readonly assetIds: readonly string[];
}

/** The scanners that apply. */
export type ScannersFor = (leading: Leading) => readonly Scanner[];

/** Makes the lookup of a policy. Connections are opened when the first message comes. */
export function scannerLookup(policies: readonly ScannerPolicy[]): ScannersFor {
  if (policies.length === 0) return () => none;
  const entries = policies.map((policy) => ({
    scanner: { policy, client: clientOf(policy) },
    includes: compileHostPatterns(policy.hosts),
    excepts: compileHostPatterns(policy.except),
    isForAll: policy.hosts.length + policy.assets.length === 0,
    assets: new Set(policy.assets),
  }));
  return ({ hosts, certainHosts, assetIds }) =>
    entries
      .filter(
        ({ isForAll, includes, excepts, assets }) =>
          (isForAll || hosts.some(includes) || assetIds.some((id) => assets.has(id))) &&
          // A name that a client made up must not lead around the scanner: all have to be excepted.
          !(certainHosts.length > 0 && certainHosts.every(excepts)),
      )
      .map(({ scanner }) => scanner);
}

function clientOf({ service, timeoutMs }: ScannerPolicy): IcapClient {
  const { host, port, url, authority } = service;
  return new IcapClient({ host, port, service: { url, authority }, timeoutMs });
}

const none: readonly Scanner[] = [];
