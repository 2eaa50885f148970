import { X509Certificate } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { verifyOrigin } from '../../src/pki/verify-origin.ts';

/** The parts of an x509-limbo case that are read here. */
interface LimboCase {
  readonly id: string;
  readonly validation_kind: string;
  readonly trusted_certs: readonly string[];
  readonly untrusted_intermediates: readonly string[];
  readonly peer_certificate: string;
  readonly validation_time: string | null;
  readonly expected_result: 'SUCCESS' | 'FAILURE';
  readonly expected_peer_name: { readonly kind: string; readonly value: string } | null;
}

const file = fileURLToPath(new URL('../../../shared/vectors/x509-limbo.json.gz', import.meta.url));
const present = existsSync(file);
if (!present) console.warn('SKIPPED: x509-limbo is not on this machine');
const cases: readonly LimboCase[] = present
  ? JSON.parse(gunzipSync(readFileSync(file)).toString()).testcases.filter(
      ({ validation_kind, expected_peer_name }: LimboCase) =>
        validation_kind === 'SERVER' && expected_peer_name !== null,
    )
  : [];

/** What Node and OpenSSL accept by default and must not be accepted: all of it is the work of verifyOrigin. */
const ownWork = [
  'rfc5280::nc::invalid-dnsname-wildcard',
  'webpki::san::no-san',
  'webpki::san::wildcard-embedded-leftmost-san',
  'webpki::san::public-suffix-wildcard-san',
  'webpki::v1-cert',
  'webpki::ee-basicconstraints-ca',
  'webpki::eku::ee-without-eku',
];

/** Good by RFC 5280, refused here on purpose: stricter profiles (CA/B, STIP) forbid them, and `missing-eku` and `untrusted` forgive them by host. */
const stricter = ['pathlen::validation-ignores-pathlen-in-leaf', 'rfc5280::ca-as-leaf', 'rfc5280::eku::ee-without-eku'];

describe.skipIf(!present)('x509-limbo', () => {
  test('no good certificate is refused, but for the ones that are listed', () => {
    const good = cases.filter(({ expected_result }) => expected_result === 'SUCCESS');
    expect(
      good
        .filter((each) => refusalOf(each).length > 0)
        .map(({ id }) => id)
        .sort(),
    ).toEqual(stricter);
  });

  test.each(ownWork)('%s is refused', (id) => {
    const found = cases.find((each) => each.id === id);
    expect(found?.expected_result).toBe('FAILURE');
    expect(found === undefined ? [] : refusalOf(found)).toHaveLength(1);
  });
});

function refusalOf({ id, ...limbo }: LimboCase): readonly string[] {
  const verification = verifyOrigin({
    name: limbo.expected_peer_name?.value ?? '',
    peer: new X509Certificate(limbo.peer_certificate),
    chain: [...limbo.untrusted_intermediates, ...limbo.trusted_certs].map((pem) => new X509Certificate(pem)),
    now: limbo.validation_time === null ? Date.now() : Date.parse(limbo.validation_time),
  });
  return verification.kind === 'failed' ? [`${id}: ${verification.code} ${verification.detail}`] : [];
}
