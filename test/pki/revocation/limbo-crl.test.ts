import { X509Certificate } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { type Certificate, parseCertificate } from '../../../src/pki/certificate.ts';
import { crlStatusOf, readCrl } from '../../../src/pki/revocation/crl-status.ts';

/** The parts of an x509-limbo case about CRLs that are read here. */
interface CrlCase {
  readonly id: string;
  readonly trusted_certs: readonly string[];
  readonly peer_certificate: string;
  readonly validation_time: string | null;
  readonly expected_result: 'SUCCESS' | 'FAILURE';
  readonly crls: readonly string[];
}

const file = fileURLToPath(new URL('../../../../shared/vectors/x509-limbo.json.gz', import.meta.url));
const present = existsSync(file);
if (!present) console.warn('SKIPPED: x509-limbo is not on this machine');
const cases: readonly CrlCase[] = present
  ? JSON.parse(gunzipSync(readFileSync(file)).toString()).testcases.filter(({ id }: CrlCase) => id.startsWith('crl::'))
  : [];

describe.skipIf(!present)('the CRL cases of x509-limbo', () => {
  test('are judged as they expect: only what is known to be good passes', () => {
    expect(cases).toHaveLength(8);
    const passed = cases.filter((each) => statusOf(each) === 'good');
    expect(passed.map(({ id }) => id)).toEqual(
      cases.filter(({ expected_result }) => expected_result === 'SUCCESS').map(({ id }) => id),
    );
    expect(statusOf(cases.find(({ id }) => id === 'crl::revoked-certificate-with-crl'))).toBe('revoked');
  });
});

function statusOf(limbo: CrlCase | undefined): string {
  if (limbo === undefined) return 'absent';
  const certificate = parsed(limbo.peer_certificate);
  const issuer = limbo.trusted_certs.map(parsed).find(({ subject }) => subject.equals(certificate.issuer));
  if (issuer === undefined) return 'no issuer';
  const crls = limbo.crls.map((pem) => readCrl(derOf(pem))).filter((crl) => crl !== undefined);
  const now = limbo.validation_time === null ? Date.now() : Date.parse(limbo.validation_time);
  return crlStatusOf({ certificate, issuer, crls, now }).kind;
}

function parsed(pem: string): Certificate {
  return parseCertificate(new X509Certificate(pem).raw);
}

function derOf(pem: string): Buffer {
  return Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ''), 'base64');
}
