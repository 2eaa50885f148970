import type { Certificate } from '../certificate.ts';
import { DerError } from '../der-reader.ts';
import { keyUsageBits, keyUsageOf } from '../extensions.ts';
import { type Crl, parseCrl } from './crl.ts';
import { type CrlIndex, indexSteps } from './crl-entries.ts';
import { scopeFault } from './crl-scope.ts';
import { clockSkewMs, type RevocationStatus, revocationReason, unknownStatus } from './revocation-status.ts';
import { isSignedBy, isSignedByEventually } from './signed-object.ts';

export interface CrlQuestion {
  readonly certificate: Certificate;
  /** The CA that issued it, verified by the caller. */
  readonly issuer: Certificate;
  readonly crls: readonly Crl[];
  /** Further certificates that may sign CRLs in the issuer's name, verified by the caller (RFC 5280 section 6.3.3 step f). */
  readonly crlSigners?: readonly Certificate[];
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/** Reads a CRL; undefined when it is not strict DER. */
export function readCrl(der: Buffer): Crl | undefined {
  try {
    return parseCrl(der);
  } catch (error) {
    if (error instanceof DerError) return undefined;
    throw error;
  }
}

/**
 * What CRLs say of a certificate (RFC 5280 section 6.3). One that lists it decides; else one that could have listed it.
 * Signatures are checked and entries indexed once for each CRL, at once unless `prepareCrl` has done so before.
 */
export function crlStatusOf(question: CrlQuestion): RevocationStatus {
  let outcome: RevocationStatus = unknownStatus('no CRL of the issuer');
  for (const crl of question.crls) {
    if (!crl.issuer.equals(question.issuer.subject)) continue;
    const status = statusIn(crl, question);
    if (status.kind === 'revoked') return status;
    if (outcome.kind === 'unknown') outcome = status;
  }
  return outcome;
}

/** Checks the signature on the thread pool and indexes the entries in steps; `crlStatusOf` then answers without delay. */
export async function prepareCrl(crl: Crl, signer: Certificate, pause: () => Promise<void>): Promise<void> {
  const isSigned = await isSignedByEventually(crl, signer.publicKey);
  knownSigners(crl).set(signer.publicKey.whole.toString('base64'), isSigned);
  if (!isSigned || indexes.has(crl)) return;
  const steps = indexSteps(crl.entries);
  try {
    for (let step = steps.next(); ; step = steps.next()) {
      if (step.done) {
        indexes.set(crl, step.value);
        return;
      }
      await pause();
    }
  } catch (error) {
    if (!(error instanceof DerError)) throw error;
    indexes.set(crl, undefined);
  }
}

function statusIn(crl: Crl, question: CrlQuestion): RevocationStatus {
  try {
    return judge(crl, question);
  } catch (error) {
    if (error instanceof DerError) return unknownStatus(`malformed: ${error.message}`);
    throw error;
  }
}

function judge(crl: Crl, { certificate, issuer, crlSigners = [], now }: CrlQuestion): RevocationStatus {
  const fault = crl.fault ?? timeFault(crl, now) ?? scopeFault(crl.scope, certificate);
  if (fault !== undefined) return unknownStatus(fault);
  const signers = [issuer, ...crlSigners.filter(({ subject }) => subject.equals(issuer.subject))];
  if (!signers.some((signer) => maySign(signer) && isSigned(crl, signer))) {
    return unknownStatus('CRL not signed by the issuer');
  }
  const index = indexOf(crl);
  if (index === undefined) return unknownStatus('CRL malformed');
  if (index.fault !== undefined) return unknownStatus(index.fault);
  const untilMs = crl.nextUpdateMs ?? now;
  const entry = index.find(certificate.serialOctets);
  if (entry !== undefined) {
    return { kind: 'revoked', sinceMs: entry.sinceMs, reason: revocationReason(entry.reason), untilMs };
  }
  return crl.scope.someReasons ? unknownStatus('CRL for some reasons only') : { kind: 'good', untilMs };
}

/** Section 5.1.2.5: without nextUpdate nobody can tell an old CRL from the last one. */
function timeFault({ thisUpdateMs, nextUpdateMs }: Crl, now: number): string | undefined {
  if (nextUpdateMs === undefined) return 'CRL without an end';
  if (thisUpdateMs > now + clockSkewMs) return 'CRL of the future';
  return nextUpdateMs < now ? 'CRL out of date' : undefined;
}

/** Section 6.3.3 step f: a key usage that is there must say so. */
function maySign({ extensions }: Certificate): boolean {
  return keyUsageOf(extensions)?.has(keyUsageBits.crlSign) ?? true;
}

const signers = new WeakMap<Crl, Map<string, boolean>>();
const indexes = new WeakMap<Crl, CrlIndex | undefined>();

function knownSigners(crl: Crl): Map<string, boolean> {
  const known = signers.get(crl) ?? new Map<string, boolean>();
  signers.set(crl, known);
  return known;
}

function isSigned(crl: Crl, { publicKey }: Certificate): boolean {
  const known = knownSigners(crl);
  const key = publicKey.whole.toString('base64');
  const isRight = known.get(key) ?? isSignedBy(crl, publicKey);
  known.set(key, isRight);
  return isRight;
}

function indexOf(crl: Crl): CrlIndex | undefined {
  if (indexes.has(crl)) return indexes.get(crl);
  const index = indexAtOnce(crl);
  indexes.set(crl, index);
  return index;
}

function indexAtOnce({ entries }: Crl): CrlIndex | undefined {
  try {
    const steps = indexSteps(entries);
    for (;;) {
      const step = steps.next();
      if (step.done) return step.value;
    }
  } catch (error) {
    if (error instanceof DerError) return undefined;
    throw error;
  }
}
