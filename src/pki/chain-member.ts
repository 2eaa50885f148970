import { createPublicKey, type KeyObject } from 'node:crypto';
import { type CanonicalName, canonicalName } from './canonical-name.ts';
import type { Certificate, Extension } from './certificate.ts';
import { type CertificateFault, invalid, weak } from './certificate-fault.ts';
import { distrustFault } from './distrust.ts';
import {
  authorityKeyIdentifierOf,
  basicConstraintsOf,
  issuerAddressesOf,
  keyUsageBits,
  keyUsageOf,
  nameConstraintsOf,
  type RawName,
  subjectKeyIdentifierOf,
} from './extensions.ts';
import {
  type CompiledConstraints,
  type ConstrainedNames,
  compileConstraints,
  constrainedNames,
} from './name-constraints.ts';
import { oids } from './oids.ts';
import { keyWeakness, signatureWeakness } from './strength.ts';

/** What the search for a path asks of a certificate, read once. */
export interface ChainMember {
  readonly certificate: Certificate;
  readonly subject: CanonicalName;
  readonly issuer: CanonicalName;
  readonly selfIssued: boolean;
  /** subjectKeyIdentifier and the one of its issuer, as hex. */
  readonly keyId: string | undefined;
  readonly issuerKeyId: string | undefined;
  /** Breaks a rule whatever its place in the chain. */
  readonly fault: CertificateFault | undefined;
  /** Its signature is too weak to count; nobody asks that of a root. */
  readonly signatureFault: CertificateFault | undefined;
  /** May not issue. */
  readonly issuerFault: CertificateFault | undefined;
  /** Its key, or its issuer's, is in everybody's hands. */
  readonly distrust: CertificateFault | undefined;
  readonly pathLength: number | undefined;
  readonly purposes: ReadonlySet<string> | undefined;
  readonly names: ConstrainedNames;
  readonly constraints: CompiledConstraints | undefined;
  /** Where its issuer's certificate can be had. */
  readonly issuerAddresses: readonly string[];
  /** Made when first asked for. */
  readonly key: () => KeyObject;
}

/** Reads what a certificate is in a chain. Throws DerError. */
export function chainMemberOf(
  certificate: Certificate,
  alternative: readonly RawName[],
  purposes: ReadonlySet<string> | undefined,
): ChainMember {
  const { extensions } = certificate;
  const subject = canonicalName(certificate.subject);
  const issuer = canonicalName(certificate.issuer);
  const raw = nameConstraintsOf(extensions);
  const constraints = raw === undefined ? undefined : compileConstraints(raw);
  const weakSignature = signatureWeakness(certificate.signatureAlgorithm);
  let key: KeyObject | undefined;
  return {
    certificate,
    subject,
    issuer,
    selfIssued: subject.key === issuer.key,
    keyId: subjectKeyIdentifierOf(extensions)?.toString('hex'),
    issuerKeyId: authorityKeyIdentifierOf(extensions)?.toString('hex'),
    fault: generalFault(certificate),
    signatureFault: weakSignature === undefined ? undefined : weak(weakSignature),
    issuerFault:
      raw !== undefined && constraints === undefined
        ? invalid('name constraints that bind no name')
        : issuerFault(certificate, subject),
    distrust: distrustFault(certificate.publicKey, issuer),
    pathLength: basicConstraintsOf(extensions).pathLength,
    purposes,
    names: constrainedNames(certificate.subject, subject, alternative),
    constraints,
    issuerAddresses: issuerAddressesOf(extensions),
    key: () => {
      key ??= createPublicKey({ key: certificate.publicKey.whole, format: 'der', type: 'spki' });
      return key;
    },
  };
}

/**
 * Extensions whose meaning is either applied here or that revocation applies. Those of certificate policies are applied
 * as RFC 5280 section 6.1.1 (c) to (e) has them for whoever accepts any policy and demands none.
 */
const understood = new Set<string>([
  oids.basicConstraints,
  oids.keyUsage,
  oids.extendedKeyUsage,
  oids.subjectAltName,
  oids.nameConstraints,
  oids.certificatePolicies,
  oids.policyMappings,
  oids.policyConstraints,
  oids.inhibitAnyPolicy,
  oids.tlsFeature,
  oids.crlDistributionPoints,
]);

function generalFault({ version, extensions, publicKey, issuer }: Certificate): CertificateFault | undefined {
  if (version !== 3) return invalid(`X.509 version ${version}`);
  // RFC 5280 section 4.1.2.4: an empty name would make any CA without one the issuer.
  if (issuer.length <= 2) return invalid('the issuer has no name');
  const unknown = unknownCritical(extensions);
  if (unknown !== undefined) return invalid(`critical extension ${unknown}`);
  const weakness = keyWeakness(publicKey);
  return weakness === undefined ? undefined : weak(weakness);
}

/** RFC 5280 section 4.2: what is marked critical and not understood refuses the certificate. */
function unknownCritical(extensions: ReadonlyMap<string, Extension>): string | undefined {
  for (const [oid, { critical }] of extensions) if (critical && !understood.has(oid)) return oid;
  return undefined;
}

function issuerFault({ extensions }: Certificate, subject: CanonicalName): CertificateFault | undefined {
  if (subject.parts.length === 0) return invalid('an issuer has no name');
  if (!basicConstraintsOf(extensions).ca) return invalid('an issuer is not a CA');
  const usage = keyUsageOf(extensions);
  if (usage !== undefined && !usage.has(keyUsageBits.keyCertSign))
    return invalid('an issuer may not sign certificates');
  return undefined;
}
