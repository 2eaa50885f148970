import { X509Certificate } from 'node:crypto';
import { gunzipSync } from 'node:zlib';
import type { RevocationCheck } from '../../../src/pki/path-search.ts';
import { crlStatusOf, readCrl } from '../../../src/pki/revocation/crl-status.ts';
import { trustAnchorsOf } from '../../../src/pki/trust-anchors.ts';
import { type Validation, validate } from '../../../src/pki/validate.ts';
import { publicVectors } from './vectors.ts';

/** The parts of an x509-limbo case that are read here. */
export interface LimboCase {
  readonly id: string;
  readonly validation_kind: string;
  readonly trusted_certs: readonly string[];
  readonly untrusted_intermediates: readonly string[];
  readonly peer_certificate: string;
  readonly peer_certificate_key: string | null;
  readonly validation_time: string | null;
  readonly expected_result: 'SUCCESS' | 'FAILURE';
  readonly expected_peer_name: { readonly kind: string; readonly value: string } | null;
  readonly max_chain_depth: number | null;
  readonly crls: readonly string[];
}

/** Every case of a TLS server; none where the vectors are absent. */
export function limboCases(): readonly LimboCase[] {
  const file = publicVectors('x509-limbo.json.gz');
  if (file === undefined) return [];
  const { testcases } = JSON.parse(gunzipSync(file).toString()) as { testcases: readonly LimboCase[] };
  return testcases.filter(({ validation_kind }) => validation_kind === 'SERVER');
}

/** Whether a case may be accepted. */
export function isGood({ expected_result }: LimboCase): boolean {
  return expected_result === 'SUCCESS';
}

/** Validates a case as the origin leg would, at its time. CRLs, where it has any, are demanded. */
export function judgeLimbo(limbo: LimboCase): Validation {
  const now = limbo.validation_time === null ? Date.now() : Date.parse(limbo.validation_time);
  return validate({
    chain: [limbo.peer_certificate, ...limbo.untrusted_intermediates].flatMap(readable),
    roots: trustAnchorsOf(limbo.trusted_certs),
    // A case without a name asks for less than an origin leg ever does.
    name: limbo.expected_peer_name?.value ?? '',
    now,
    policy: { exceptions: [], ...(limbo.max_chain_depth === null ? {} : { maxIntermediates: limbo.max_chain_depth }) },
    revocation: limbo.crls.length === 0 ? undefined : crlCheck(limbo.crls, now),
  });
}

/** Demands of every certificate that one of the CRLs says it is good. */
function crlCheck(pems: readonly string[], now: number): RevocationCheck {
  const crls = pems.flatMap((pem) => readCrl(Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ''), 'base64')) ?? []);
  return (certificate, issuer) => {
    const status = crlStatusOf({ certificate, issuer, crls, now });
    if (status.kind === 'good') return undefined;
    return { code: 'ORIGIN_CERT_REVOKED', detail: status.kind === 'revoked' ? status.reason : status.detail };
  };
}

/** Some cases are not even a certificate to OpenSSL, and end before our code. */
function readable(pem: string): readonly X509Certificate[] {
  try {
    return [new X509Certificate(pem)];
  } catch {
    return [];
  }
}
