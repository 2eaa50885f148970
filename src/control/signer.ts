import type { IssuedLeaf, LeafRequest } from '../core/ipc.ts';
import { limits } from '../core/limits.ts';
import type { Authority } from '../pki/authority.ts';
import { IssuanceLog } from '../pki/issuance-log.ts';
import { readSeal, writeSeal } from '../pki/issuance-seal.ts';
import { certificatePems } from '../pki/issuer.ts';
import { issueLeaf } from '../pki/leaf.ts';

/** The only holder of the CA key. */
export interface Signer {
  sign(request: LeafRequest): Promise<IssuedLeaf>;
  /** Signs with another authority from now on. */
  replace(authority: Authority): void;
  /** Waits for the last line of the issuance log, and seals it. */
  close(): Promise<void>;
}

/** Issues leafs for relays; each one is in the issuance log before a relay gets it, and in time under a seal. */
export function createSigner(
  authority: Authority,
  onProblem: (problem: string) => void = () => {},
  backdateMs: () => number = () => limits.leafBackdateMs,
): Signer {
  let present = authority;
  let log = new IssuanceLog(authority.directory);
  let sealed: string | undefined;
  /** Whether the log still holds what an earlier gateway sealed; undefined until that was looked at. */
  let isWhole: boolean | undefined;
  const seal = async (): Promise<void> => {
    try {
      if (isWhole === undefined) {
        const fault = await sealFault(log, present);
        isWhole = fault === undefined;
        if (fault !== undefined) onProblem(`${fault}. ${whatToDo}`);
      }
      // A new seal would hide what was done to the log: the old one stays, and so does what an audit says.
      if (!isWhole) return;
      const head = await log.head();
      const what = `${head} ${present.active.fingerprint256}`;
      if (what === sealed) return;
      // A power failure must not leave a seal of lines that it took.
      await log.synchronize();
      await writeSeal(present.directory, head, present.active, Date.now());
      sealed = what;
    } catch (error) {
      onProblem(`the issuance log cannot be sealed: ${error instanceof Error ? error.message : String(error)}`);
    }
  };
  // At once, so that there is a seal before the first line of all.
  let ready = seal();
  const timer = setInterval(() => void seal(), limits.issuanceSealMs).unref();
  return {
    async sign(request) {
      await ready;
      const leaf = await issueLeaf(present, request, Date.now(), backdateMs());
      await log.append(leaf, request);
      return leaf;
    },
    replace(next) {
      if (next.directory !== present.directory) {
        log = new IssuanceLog(next.directory);
        isWhole = undefined;
      }
      present = next;
      // An earlier CA may be taken out of what verifies a seal.
      ready = seal();
    },
    async close() {
      clearInterval(timer);
      await log.close();
      await seal();
    },
  };
}

/** What is wrong with the seal that an earlier gateway left, or with the log under it. */
async function sealFault(log: IssuanceLog, { directory, certificates }: Authority): Promise<string | undefined> {
  const reading = await readSeal(directory, certificatePems(certificates, directory));
  if (reading.kind === 'forged') return `the issuance log has a seal that is not to be believed: ${reading.detail}`;
  const isWhole = await log.goesOnFrom(reading.kind === 'sealed' ? reading.seal.head : undefined);
  return isWhole
    ? undefined
    : 'the issuance log does not go on from its seal: lines were cut off or changed, or the seal was removed';
}

const whatToDo = 'It is not sealed any more; see `daylight ca audit`, and docs/ca.md for what to do';
