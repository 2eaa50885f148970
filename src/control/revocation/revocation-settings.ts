import { limits } from '../../core/limits.ts';
import type { ListenAddress, PolicyDocument, UpstreamPolicy } from '../../core/policy.ts';

/** What control needs to know to ask about certificates. */
export interface RevocationSettings {
  /** Where answers are kept. */
  readonly directory: string;
  /** CIDRs that may be asked although they are not public. */
  readonly allowAddresses: readonly string[];
  /** Addresses of the gateway itself, which are never asked. */
  readonly ownListeners: readonly ListenAddress[];
  readonly upstream: UpstreamPolicy | undefined;
  /** Longest that one fetch takes. */
  readonly fetchMs: number;
}

/** The part of a policy that says how certificates are asked about. */
export function revocationSettings(policy: PolicyDocument): RevocationSettings {
  const admin = policy.admin === undefined ? [] : [policy.admin.listen];
  return {
    directory: policy.revocation.directory,
    allowAddresses: policy.revocation.allowAddresses,
    ownListeners: [...policy.listeners.map(({ listen }) => listen), ...admin],
    upstream: policy.upstream,
    fetchMs: limits.revocationFetchMs,
  };
}
