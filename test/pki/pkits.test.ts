import type { X509Certificate } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { timeFault } from '../../src/pki/issuer-rules.ts';
import { originCertificateOf } from '../../src/pki/origin-certificate.ts';
import { type RevocationCheck, searchPath } from '../../src/pki/path-search.ts';
import { crlStatusOf } from '../../src/pki/revocation/crl-status.ts';
import { trustAnchorsOf } from '../../src/pki/trust-anchors.ts';
import { pkits } from './support/pkits.ts';

const suite = pkits();
/** The suite is valid from 2010 to 2030. */
const now = Date.UTC(2027, 0, 1);

/**
 * Sections 4.8 to 4.12 are about certificate policies, which play no part in TLS, and 4.15 about delta CRLs, which are not
 * read. Left are signatures, validity, names, CRLs, self-issued certificates, basicConstraints, keyUsage, name constraints,
 * distribution points and private extensions.
 */
const outside = /polic|deltaCRL|CPSPointer|UserNotice/i;
const cases = [...(suite?.endEntities ?? [])].filter(([name]) => !outside.test(name));
const valid = cases.filter(([name]) => name.startsWith('Valid'));
const invalid = cases.filter(([name]) => !name.startsWith('Valid'));

/** DSA is refused whoever signed with it. */
const dsa = ['ValidDSAParameterInheritanceTest5', 'ValidDSASignaturesTest4'];
/** Nothing is concluded from CRLs of these kinds, so that a certificate of which nothing else speaks stays unknown. */
const unreadCrls = [
  // Signed with another key of the CA than the certificate was, which TLS CAs do not do.
  'ValidBasicSelfIssuedCRLSigningKeyTest6',
  'ValidBasicSelfIssuedNewWithOldTest4',
  'ValidBasicSelfIssuedOldWithNewTest1',
  'ValidDNnameConstraintsTest19',
  'ValidSelfIssuedpathLenConstraintTest15',
  'ValidSelfIssuedpathLenConstraintTest17',
  'ValidSeparateCertificateandCRLKeysTest19',
  // The issuer's name is spelled in another string type than in its certificates.
  'ValidRolloverfromPrintableStringtoUTF8StringTest10',
  // Indirect CRLs, and CRLs for some reasons only.
  'ValidIDPwithindirectCRLTest22',
  'ValidIDPwithindirectCRLTest24',
  'ValidIDPwithindirectCRLTest25',
  'ValidcRLIssuerTest28',
  'ValidcRLIssuerTest29',
  'ValidcRLIssuerTest30',
  'ValidcRLIssuerTest33',
  'ValidonlySomeReasonsTest18',
  'ValidonlySomeReasonsTest19',
];

describe.skipIf(suite === undefined)('NIST PKITS', () => {
  test('has the tests that are meant', () => {
    expect([valid.length, invalid.length]).toEqual([65, 86]);
  });

  test('no invalid path is accepted where CRLs are demanded', () => {
    expect(accepted(invalid, demandingCrls)).toEqual([]);
  });

  test('every valid path is found, but for those with DSA', () => {
    expect(refused(valid, undefined)).toEqual(dsa);
  });

  test('and with CRLs, but for those whose CRLs are of kinds that are not read', () => {
    expect(refused(valid, demandingCrls)).toEqual([...dsa, ...unreadCrls].sort());
  });
});

type Case = readonly [name: string, leaf: X509Certificate];

function accepted(among: readonly Case[], revocation: RevocationCheck | undefined): readonly string[] {
  return among.filter(([, leaf]) => isAccepted(leaf, revocation)).map(([name]) => name);
}

function refused(among: readonly Case[], revocation: RevocationCheck | undefined): readonly string[] {
  return among
    .filter(([, leaf]) => !isAccepted(leaf, revocation))
    .map(([name]) => name)
    .sort();
}

/** The suite's leafs have no names of hosts and no purposes, so the search is asked and not the whole validation. */
function isAccepted(leaf: X509Certificate, revocation: RevocationCheck | undefined): boolean {
  const { fault, facts } = originCertificateOf(leaf);
  if (suite === undefined || fault !== undefined || timeFault(facts, now) !== undefined) return false;
  const anchors = trustAnchorsOf([suite.anchor.toString()]);
  return searchPath({ leaf, pool: suite.authorities, anchors, now, revocation }).kind === 'found';
}

const demandingCrls: RevocationCheck = (certificate, issuer) => {
  const { kind } = crlStatusOf({ certificate, issuer, crls: suite?.crls ?? [], now });
  return kind === 'good' ? undefined : { code: 'ORIGIN_CERT_REVOKED', detail: kind };
};
