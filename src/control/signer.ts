import type { IssuedLeaf, LeafRequest } from '../core/ipc.ts';
import type { Authority } from '../pki/authority.ts';
import { issueLeaf } from '../pki/leaf.ts';
import type { IssuanceLog } from '../pki/issuance-log.ts';

/** Both authorities of a gateway: the one clients trust, and the one nobody should. */
export interface Authorities {
  readonly trusted: Authority;
  readonly untrusted: Authority;
}

export interface Signer {
  sign(request: LeafRequest): Promise<IssuedLeaf>;
  replace(authorities: Authorities): void;
}

/** The only holder of the CA key: issues leafs for relays and logs each one. */
export function createSigner(authorities: Authorities, log: IssuanceLog): Signer {
  let present = authorities;
  return {
    replace(next) {
      present = next;
    },
    async sign(request) {
      const authority = request.untrusted ? present.untrusted : present.trusted;
      const leaf = await issueLeaf(authority, request, Date.now());
      if (!request.untrusted) log.append(leaf, request);
      return leaf;
    },
  };
}
