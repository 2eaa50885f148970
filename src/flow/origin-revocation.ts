import { hash, type X509Certificate } from 'node:crypto';
import { limits } from '../core/limits.ts';
import type { RevocationOutcome } from '../core/record.ts';
import type { IssuedPair, RevocationFinding } from '../core/revocation.ts';
import { BoundedCache } from '../pki/bounded-cache.ts';
import { type Certificate, parseCertificate } from '../pki/certificate.ts';
import { certificateFactsOf } from '../pki/certificate-facts.ts';
import { DerError } from '../pki/der-reader.ts';
import { ocspStatusOf } from '../pki/revocation/ocsp-status.ts';
import { findingOf, unknownFinding } from '../pki/revocation/revocation-finding.ts';
import { revocationPointersOf } from '../pki/revocation/revocation-pointers.ts';

/** Asks control about certificates in the share of a client, one finding for each pair. Rejects or stays silent when control is gone. */
export type AskRevocation = (pairs: readonly IssuedPair[], client: string) => Promise<readonly RevocationFinding[]>;

export interface AskingTerms {
  readonly ask: AskRevocation;
  /** In whose share. */
  readonly client: string;
  readonly timeoutMs: number;
}

/** A verified origin as its handshake has shown it. */
export interface ShownChain {
  /** Leaf first, the trusted root last. */
  readonly path: readonly X509Certificate[];
  /** OCSP answer that came with the certificate. */
  readonly staple: Buffer | undefined;
}

/** What is known of a whole path. */
export interface PathRevocation {
  /** That of the certificate which decides. */
  readonly outcome: RevocationOutcome;
  /** Of each certificate but the root, leaf first. */
  readonly statuses: readonly RevocationFinding['status'][];
}

interface KnownRevocation {
  readonly revocation: PathRevocation;
  readonly untilMs: number;
}

/** Outcomes by chain and staple, so that a busy origin costs one look-up for each handshake. */
const known = new BoundedCache<KnownRevocation>(limits.revocationAnswers);

/**
 * Whether a certificate of a verified chain is revoked, but for its root. What the origin stapled is judged here; the
 * rest control finds out for all relays. Never rejects, and ends within the time limit.
 */
export async function revocationOf(shown: ShownChain, terms: AskingTerms): Promise<PathRevocation> {
  const { path, staple } = shown;
  const key = `${path.map((one) => certificateFactsOf(one).fingerprint256).join()} ${staple === undefined ? '' : hash('sha256', staple)}`;
  const ownKey = `${terms.client} ${key}`;
  const remembered = rememberedAs(key) ?? rememberedAs(ownKey);
  if (remembered !== undefined) return remembered;
  const findings = await findingsOf(shown, terms);
  const revocation = { outcome: worstOf(findings), statuses: findings.map(({ status }) => status) };
  const untilMs = Math.min(...findings.map((finding) => finding.untilMs), Date.now() + limits.revocationRefreshMs);
  // An answer may be late for the many questions of this client: others ask for themselves.
  const isLate = findings.some(({ detail }) => detail === noAnswer);
  known.set(isLate ? ownKey : key, { revocation, untilMs }, 1);
  return revocation;
}

function rememberedAs(key: string): PathRevocation | undefined {
  const remembered = known.get(key);
  return remembered !== undefined && remembered.untilMs > Date.now() ? remembered.revocation : undefined;
}

/** Not the words of control about a responder. */
const noAnswer = 'control did not answer in time';

async function findingsOf({ path, staple }: ShownChain, terms: AskingTerms): Promise<readonly RevocationFinding[]> {
  const pairs = path
    .slice(0, -1)
    .map((certificate, index) => ({ certificate, issuer: path[index + 1] ?? certificate }));
  const first = pairs.map(({ certificate, issuer }, index) => knownAtOnce(certificate, issuer, index === 0, staple));
  const open = pairs.filter((_, index) => first[index] === undefined);
  const asked = open.length === 0 ? [] : await askInTime(open, terms);
  let next = 0;
  return first.map((finding) => finding ?? asked[next++] ?? unknownFinding('not asked', 0));
}

/** What needs nobody to be asked; undefined when control has to. */
function knownAtOnce(
  certificate: X509Certificate,
  issuer: X509Certificate,
  isLeaf: boolean,
  staple: Buffer | undefined,
): RevocationFinding | undefined {
  try {
    return judge(parseCertificate(certificate.raw), parseCertificate(issuer.raw), isLeaf, staple);
  } catch (error) {
    // Only a trusted root may be that old.
    if (error instanceof DerError) return unknownFinding(`malformed: ${error.message}`, 0);
    throw error;
  }
}

function judge(
  certificate: Certificate,
  issuer: Certificate,
  isLeaf: boolean,
  staple: Buffer | undefined,
): RevocationFinding | undefined {
  const now = Date.now();
  const pointers = revocationPointersOf(certificate);
  const status =
    !isLeaf || staple === undefined ? undefined : ocspStatusOf({ certificate, issuer, response: staple, now });
  if (status !== undefined && status.kind !== 'unknown') return findingOf('staple', status, status.untilMs);
  if (isLeaf && pointers.mustStaple) {
    const detail = `must staple: ${status === undefined ? 'no answer stapled' : status.detail}`;
    return { status: 'unknown', source: 'staple', detail, untilMs: now };
  }
  if (pointers.responders.length + pointers.crls.length > 0) return undefined;
  if (pointers.exempt) return { status: 'good', source: 'exempt', detail: '', untilMs: certificate.notAfter };
  return unknownFinding('names no responder and no CRL', now + limits.revocationRefreshMs);
}

async function askInTime(
  open: readonly { readonly certificate: X509Certificate; readonly issuer: X509Certificate }[],
  { ask, client, timeoutMs }: AskingTerms,
): Promise<readonly RevocationFinding[]> {
  const pairs = open.map(({ certificate, issuer }) => ({ certificate: certificate.raw, issuer: issuer.raw }));
  const late = unknownFinding(noAnswer, Date.now() + timeoutMs + limits.revocationPauseMs);
  const silence = Promise.withResolvers<readonly RevocationFinding[]>();
  const timer = setTimeout(() => silence.resolve(pairs.map(() => late)), timeoutMs);
  try {
    return await Promise.race([ask(pairs, client).catch(() => pairs.map(() => late)), silence.promise]);
  } finally {
    clearTimeout(timer);
  }
}

const gravity = { good: 0, unknown: 1, revoked: 2 } as const;

/** The finding that decides; of findings that weigh the same the one nearest to the leaf. A trusted leaf has nobody above it. */
function worstOf(findings: readonly RevocationFinding[]): RevocationOutcome {
  const [leaf, ...above] = findings;
  if (leaf === undefined) return { status: 'good', source: 'exempt', detail: 'the certificate itself is trusted' };
  let worst: RevocationOutcome = leaf;
  above.forEach((each, index) => {
    if (gravity[each.status] <= gravity[worst.status]) return;
    worst = { ...each, detail: `issuer ${index + 1} above the leaf: ${each.detail}` };
  });
  const { status, source, detail } = worst;
  return { status, source, detail };
}
