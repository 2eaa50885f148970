import { X509Certificate } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Crl } from '../../../src/pki/revocation/crl.ts';
import { readCrl } from '../../../src/pki/revocation/crl-status.ts';

const folder = '/usr/lib/python3/dist-packages/cryptography_vectors/x509/PKITS_data';

/** NIST's Public Key Interoperability Test Suite, as Debian's python3-cryptography-vectors has it. */
export interface Pkits {
  readonly anchor: X509Certificate;
  /** Every CA certificate of the suite, and every CRL: a search has to find its own way. */
  readonly authorities: readonly X509Certificate[];
  readonly crls: readonly Crl[];
  /** By the name of the test, e.g. `InvalidEESignatureTest3`. */
  readonly endEntities: ReadonlyMap<string, X509Certificate>;
}

/** The suite; undefined, and said so, where it is not installed. */
export function pkits(from = process.env.DAYLIGHT_PKITS ?? folder): Pkits | undefined {
  if (!existsSync(from)) {
    console.warn('SKIPPED: PKITS is not there (python3-cryptography-vectors)');
    return undefined;
  }
  const certificates = readdirSync(join(from, 'certs')).map((file) => ({
    name: file.replace(/\.crt$/, ''),
    x509: new X509Certificate(readFileSync(join(from, 'certs', file))),
  }));
  const anchor = certificates.find(({ name }) => name === 'TrustAnchorRootCertificate')?.x509;
  if (anchor === undefined) throw new Error('PKITS without its trust anchor');
  return {
    anchor,
    authorities: certificates.flatMap(({ name, x509 }) => (name.endsWith('EE') ? [] : [x509])),
    crls: readdirSync(join(from, 'crls')).flatMap((file) => readCrl(readFileSync(join(from, 'crls', file))) ?? []),
    endEntities: new Map(
      certificates.flatMap(({ name, x509 }) => (name.endsWith('EE') ? [[name.slice(0, -2), x509]] : [])),
    ),
  };
}
