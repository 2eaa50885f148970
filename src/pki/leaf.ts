import { hash } from 'node:crypto';
import { FlowFailure } from '../core/failures.ts';
import type { IssuedLeaf, LeafRequest } from '../core/ipc.ts';
import { limits } from '../core/limits.ts';
import type { SubjectName } from '../core/tls.ts';
import type { Authority } from './authority.ts';
import { type PublicKey, parseCertificate, parsePublicKey } from './certificate.ts';
import {
  authorityKeyExtension,
  basicConstraintsExtension,
  commonNameOnly,
  extension,
  freshSerialNumber,
  keyIdentifierOf,
  keyUsageExtension,
  signCertificate,
  subjectKeyExtension,
} from './certificate-writer.ts';
import { DerError } from './der-reader.ts';
import { implicit, oid, sequence } from './der-writer.ts';
import { distinguishedNameText } from './distinguished-name.ts';
import { isCanonicalHostName, wildcardOver } from './host-name.ts';
import { ipOctets, ipText } from './ip-address.ts';
import type { Issuer } from './issuer.ts';
import { constraintFault } from './name-constraints.ts';
import { oids } from './oids.ts';
import { pemOf } from './pem.ts';
import { keyWeakness } from './strength.ts';

/** From notBefore to notAfter. Under 24 h a leaf needs no revocation (STIP FDP_CSIR_EXT.1). */
const leafLifetimeMs = 86_400_000 - 60_000;

/** Longest common name (RFC 5280 appendix A, ub-common-name). */
const longestCommonName = 64;

/**
 * Issues a leaf over the relay's key that mirrors the names of the origin. Without backdating, which STIP forbids, a client
 * whose clock is a second behind fails at each new name. Signing runs on the thread pool. Rejects with
 * FlowFailure GATEWAY_LEAF_FAILED. The caller hands nothing out before the issuance log has its line.
 */
export async function issueLeaf(
  authority: Authority,
  request: LeafRequest,
  now: number,
  backdateMs: number = limits.leafBackdateMs,
): Promise<IssuedLeaf> {
  const issuer = request.untrusted ? authority.untrusted : authority.active;
  const publicKey = leafKey(request);
  const names = permittedNames(leafNames(request), issuer);
  const validity = leafValidity(request, issuer, now, backdateMs);
  const subject = commonName(names[0]);
  const name = commonNameOnly(subject);
  const der = await signCertificate(
    {
      serialNumber: freshSerialNumber(),
      issuer: issuer.subjectDer,
      subject: name,
      ...validity,
      publicKey: publicKey.whole,
      extensions: leafExtensions(request, issuer, publicKey, subjectAltName(names, subject === undefined)),
    },
    issuer.key,
  );
  return {
    chainPem: [pemOf('CERTIFICATE', der), ...issuer.presented].join(''),
    facts: {
      subject: distinguishedNameText(name),
      issuer: issuer.subject,
      serialNumber: parseCertificate(der).serialNumber,
      fingerprint256: hash('sha256', der, 'hex'),
      ...validity,
      selfSigned: false,
      ...(isSameSet(names, request.names) ? {} : { names }),
    },
  };
}

/** Whether the names are those that were asked for: all of them, and no other put before them. */
function isSameSet(names: readonly [SubjectName, ...SubjectName[]], asked: readonly SubjectName[]): boolean {
  return names.length === asked.length && asked.includes(names[0]);
}

function leafKey({ publicKey, keyType }: LeafRequest): PublicKey {
  const expected = keyType === 'rsa' ? oids.rsa : oids.ec;
  try {
    const key = parsePublicKey(Buffer.from(publicKey));
    const weakness = key.algorithm.oid === expected ? keyWeakness(key) : `not of type ${keyType}`;
    if (weakness === undefined) return key;
    throw refusal(`the key is ${weakness}`);
  } catch (error) {
    throw error instanceof DerError ? refusal('the key is malformed') : error;
  }
}

/** Cut to seconds, as certificates are. */
function leafValidity(
  request: LeafRequest,
  issuer: Issuer,
  now: number,
  backdateMs: number,
): { readonly notBefore: number; readonly notAfter: number } {
  const notBefore = Math.floor((now - backdateMs) / 1_000) * 1_000;
  // An untrusted leaf carries a failure page, often just because its origin has expired.
  const originNotAfter = request.untrusted ? Number.POSITIVE_INFINITY : request.originNotAfter;
  const notAfter = Math.floor(Math.min(notBefore + leafLifetimeMs, originNotAfter, issuer.notAfter) / 1_000) * 1_000;
  if (notAfter <= now) throw refusal('the certificate of the origin or of the CA has expired');
  return { notBefore, notAfter };
}

/**
 * Names of the leaf: those of the origin, the one that covers the verified name first, and the verified name itself when
 * none does. As many as fit a Certificate message.
 */
function leafNames({ name, names }: LeafRequest): readonly [SubjectName, ...SubjectName[]] {
  const wildcard = wildcardOver(name);
  const octets = ipOctets(name);
  const first: SubjectName =
    names.find(({ value }) => value === name) ??
    names.find(({ kind, value }) => kind === 'dns' && value === wildcard) ??
    (octets === undefined ? { kind: 'dns', value: name } : { kind: 'ip', value: ipText(octets) ?? name });
  const kept: [SubjectName, ...SubjectName[]] = [first];
  let length = 0;
  for (const each of names) {
    length += each.value.length + 4;
    if (kept.length >= limits.certificateNames || length > limits.leafNamesBytes) break;
    if (each !== first) kept.push(each);
  }
  return kept;
}

/**
 * The names that the CA may issue for. One that it may not would make clients refuse the whole leaf, so others of the
 * origin are left out; without the verified name there is no leaf.
 */
function permittedNames(
  [first, ...others]: readonly [SubjectName, ...SubjectName[]],
  { constraints, subject }: Issuer,
): readonly [SubjectName, ...SubjectName[]] {
  if (constraints === undefined) return [first, ...others];
  const isPermitted = ({ kind, value }: SubjectName): boolean => {
    const octets = kind === 'ip' ? ipOctets(value) : undefined;
    const held = { ...noNames, ...(octets === undefined ? { dns: [value] } : { ip: [octets] }) };
    return constraintFault(constraints, held, undefined) === undefined;
  };
  if (!isPermitted(first)) throw refusal(`${subject} is constrained to other names than ${first.value}`);
  return [first, ...others.filter(isPermitted)];
}

const noNames = { dns: [], ip: [], email: [], uri: [], directory: [], other: [] } as const;

/** The common name repeats the first alternative name, as strict clients demand; too long a name is left out. */
function commonName({ value }: SubjectName): string | undefined {
  return value.length <= longestCommonName ? value : undefined;
}

function subjectAltName(names: readonly SubjectName[], subjectIsEmpty: boolean): Buffer {
  // Critical when there is no subject beside it (RFC 5280 section 4.2.1.6).
  return extension(oids.subjectAltName, subjectIsEmpty, sequence(...names.map(generalName)));
}

function generalName({ kind, value }: SubjectName): Buffer {
  if (kind === 'ip') {
    const octets = ipOctets(value);
    if (octets === undefined) throw refusal('a name is no IP address');
    return implicit(7, octets);
  }
  if (!isCanonicalHostName(value.startsWith('*.') ? value.slice(2) : value)) throw refusal('a name is no host name');
  return implicit(2, Buffer.from(value, 'latin1'));
}

/** The profile of STIP FDP_CER_EXT.1, whatever the origin's certificate says. */
function leafExtensions(request: LeafRequest, issuer: Issuer, key: PublicKey, names: Buffer): readonly Buffer[] {
  return [
    basicConstraintsExtension(undefined),
    // Only RSA keys can also carry the client's secret (RFC 5246 section 7.4.2).
    request.keyType === 'rsa'
      ? keyUsageExtension('digitalSignature', 'keyEncipherment')
      : keyUsageExtension('digitalSignature'),
    extension(oids.extendedKeyUsage, false, sequence(oid(oids.serverAuth))),
    names,
    subjectKeyExtension(keyIdentifierOf(key.whole)),
    authorityKeyExtension(issuer.keyIdentifier),
  ];
}

function refusal(detail: string): FlowFailure {
  return new FlowFailure('GATEWAY_LEAF_FAILED', detail);
}
