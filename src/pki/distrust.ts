import { createHash } from 'node:crypto';
import { type CanonicalName, canonicalName } from './canonical-name.ts';
import type { PublicKey } from './certificate.ts';
import type { CertificateFault } from './certificate-fault.ts';
import { commonNameOnly } from './certificate-writer.ts';

/**
 * Keys that nothing is believed from, by SHA-256 of the SubjectPublicKeyInfo: their private halves are public, for they
 * were shipped with products. No trust store makes them good.
 */
const published: ReadonlyMap<string, string> = new Map([
  ['4bb8f35ba1e126f8dde1b0c420625ed86dce61a7bddadbdea9aba578ff13145e', 'Superfish'],
  ['cdee9f3305572a677e1a6c82dc1e02a35b11cae6a684338c9f37fe1ac8daec23', 'eDellRoot'],
  ['130ad4e0633521290531b6651f5759b0bc7bc656709ff8f365c2143b0389b6f6', 'DSDTestProvider'],
  ['9d40513f43991af39fe413aff7608fc56463827137166547de0a1828d524ae98', 'BadSSL MITM Software Test'],
  ['2bd1e667ec9ebbe02b9a7da264210c99b3eac1cc9141a0e30e3f623eaccec4e1', 'webpack-dev-server'],
]);

/** Issuers of that kind by common name: a root need not be sent, and then its key is not there to be compared. */
const publishedIssuers: ReadonlyMap<string, string> = new Map(
  ['Superfish, Inc.', 'eDellRoot', 'DSDTestProvider', 'BadSSL MITM Software Test'].map((name) => [
    canonicalName(commonNameOnly(name)).key,
    name,
  ]),
);

/** Why a certificate is distrusted whoever trusts it; undefined for every other one. */
export function distrustFault(key: PublicKey, issuer: CanonicalName): CertificateFault | undefined {
  const product =
    published.get(createHash('sha256').update(key.whole).digest('hex')) ??
    issuer.parts.map((part) => publishedIssuers.get(part)).find((name) => name !== undefined);
  if (product === undefined) return undefined;
  return { code: 'ORIGIN_CERT_DISTRUSTED', detail: `the private key of ${product} is public` };
}
