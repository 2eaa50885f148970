import { readFileSync } from 'node:fs';
import { FlowFailure } from '../core/failures.ts';
import { limits } from '../core/limits.ts';
import { type Certificate, parseCertificate } from './certificate.ts';
import { chainMemberOf } from './chain-member.ts';
import { distinguishedNameText } from './distinguished-name.ts';
import { basicConstraintsOf, extendedKeyUsageOf, keyUsageBits, keyUsageOf, subjectAltNamesOf } from './extensions.ts';
import { oids } from './oids.ts';
import { certificatesInPem, pemOf } from './pem.ts';
import { keyWeakness } from './strength.ts';

export interface TrustSources {
  /** The roots of the operating system, or Node's own where it has none. */
  readonly system: boolean;
  /** PEM files. */
  readonly files: readonly string[];
  /** PEM of our own CAs: an origin must never be trusted because we, or whoever has our key, signed its certificate. */
  readonly refuseKeysOf?: readonly string[];
  /** Milliseconds since the epoch. */
  readonly now?: number;
  /** Told about each root of the system that is left out, and why. */
  readonly onSkipped?: (reason: string) => void;
}

/**
 * PEM of every root that origins are trusted by, without repetitions. A root from a file that cannot serve is an error
 * (FlowFailure GATEWAY_TRUST_INVALID names file and number); one of the system is left out, for nobody chose it here.
 */
export function loadRoots(sources: TrustSources): string[] {
  const now = sources.now ?? Date.now();
  const refused = new Set((sources.refuseKeysOf ?? []).flatMap(certificatesInPem).flatMap(publicKeyText));
  const roots = new Set<string>();
  const skipped = new Set<string>();
  for (const { der, place, chosen } of [
    ...(sources.system ? systemRoots() : []),
    ...sources.files.flatMap(fileRoots),
  ]) {
    const fault = rootFault(der, refused, now);
    if (fault === undefined && der !== undefined) roots.add(pemOf('CERTIFICATE', der));
    else if (chosen) throw new FlowFailure('GATEWAY_TRUST_INVALID', `${place} ${fault}`);
    else skipped.add(`${place} ${fault}`);
  }
  for (const reason of skipped) sources.onSkipped?.(reason);
  return [...roots];
}

interface Candidate {
  /** Undefined when the text is not base64. */
  readonly der: Buffer | undefined;
  readonly place: string;
  readonly chosen: boolean;
}

function systemRoots(): readonly Candidate[] {
  // Control does nothing else by TLS: 4 MB less where no root of the system is asked for.
  const { getCACertificates } = process.getBuiltinModule('node:tls');
  const system = getCACertificates('system');
  const pems = system.length > 0 ? system : getCACertificates('bundled');
  // Systems list a root several times, so its number says nothing.
  return pems.map((pem) => ({ der: certificatesInPem(pem)[0], place: 'a root of the system', chosen: false }));
}

function fileRoots(path: string): readonly Candidate[] {
  const found = certificatesInPem(readPem(path));
  if (found.length === 0) throw new FlowFailure('GATEWAY_TRUST_INVALID', `${path} holds no certificate in PEM`);
  return found.map((der, index) => ({ der, place: `certificate ${index + 1} of ${path}`, chosen: true }));
}

function readPem(path: string): string {
  try {
    const text = readFileSync(path, 'latin1');
    if (text.length <= limits.credentialFileBytes) return text;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    throw new FlowFailure('GATEWAY_TRUST_INVALID', `${path} cannot be read (${code})`);
  }
  throw new FlowFailure('GATEWAY_TRUST_INVALID', `${path} is too large`);
}

function rootFault(der: Buffer | undefined, refused: ReadonlySet<string>, now: number): string | undefined {
  try {
    const root = parseCertificate(der ?? Buffer.alloc(0));
    const fault = ownKeyFault(root, refused) ?? timeFault(root, now) ?? authorityFault(root);
    return fault === undefined ? undefined : `(${distinguishedNameText(root.subject)}) ${fault}`;
  } catch {
    return 'cannot be parsed';
  }
}

function ownKeyFault({ publicKey }: Certificate, refused: ReadonlySet<string>): string | undefined {
  return refused.has(publicKey.whole.toString('base64')) ? "has the key of this gateway's own authority" : undefined;
}

function timeFault({ notAfter }: Certificate, now: number): string | undefined {
  return now > notAfter ? `expired ${new Date(notAfter).toISOString()}` : undefined;
}

function authorityFault(root: Certificate): string | undefined {
  const { version, extensions, publicKey } = root;
  // Before v3 nothing says whether a certificate is a CA, and old roots without it have all expired.
  if (version !== 3 || !basicConstraintsOf(extensions).ca) return 'is not a CA';
  const usage = keyUsageOf(extensions);
  if (usage !== undefined && !usage.has(keyUsageBits.keyCertSign)) return 'may not sign certificates';
  const weakness = keyWeakness(publicKey);
  if (weakness !== undefined) return `is too weak: ${weakness}`;
  const purposes = extendedKeyUsageOf(extensions);
  if (purposes !== undefined && !purposes.has(oids.serverAuth) && !purposes.has(oids.anyExtendedKeyUsage)) {
    return 'is not for servers';
  }
  // What is left would refuse every chain below it: better known now.
  const { fault, issuerFault, distrust } = chainMemberOf(root, subjectAltNamesOf(extensions), purposes);
  const broken = distrust ?? fault ?? issuerFault;
  return broken === undefined ? undefined : `cannot be used: ${broken.detail}`;
}

function publicKeyText(der: Buffer | undefined): readonly string[] {
  return der === undefined ? [] : [parseCertificate(der).publicKey.whole.toString('base64')];
}
