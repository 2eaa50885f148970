import type { IssuedLeaf, LeafRequest } from '../core/ipc.ts';
import type { Authority } from '../pki/authority.ts';
import { IssuanceLog } from '../pki/issuance-log.ts';
import { issueLeaf } from '../pki/leaf.ts';

/** The only holder of the CA key. */
export interface Signer {
  sign(request: LeafRequest): Promise<IssuedLeaf>;
  /** Signs with another authority from now on. */
  replace(authority: Authority): void;
  /** Waits for the last line of the issuance log. */
  close(): Promise<void>;
}

/** Issues leafs for relays; each one is in the issuance log before a relay gets it. */
export function createSigner(authority: Authority): Signer {
  let present = authority;
  let log = new IssuanceLog(authority.directory);
  return {
    async sign(request) {
      const leaf = await issueLeaf(present, request, Date.now());
      await log.append(leaf, request);
      return leaf;
    },
    replace(next) {
      if (next.directory !== present.directory) log = new IssuanceLog(next.directory);
      present = next;
    },
    close: () => log.close(),
  };
}
