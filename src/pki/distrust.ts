import { createHash } from 'node:crypto';
import { type CanonicalName, canonicalName } from './canonical-name.ts';
import type { PublicKey } from './certificate.ts';
import type { CertificateFault } from './certificate-fault.ts';
import { commonNameOnly } from './certificate-writer.ts';
import { distrustedKeys, publicKeyOf } from './distrusted-keys.ts';

/** Issuers of that kind by common name: a root need not be sent, and then its key is not there to be compared. */
const publishedIssuers: ReadonlyMap<string, string> = new Map(
  ['Superfish, Inc.', 'eDellRoot', 'DSDTestProvider', 'BadSSL MITM Software Test'].map((name) => [
    canonicalName(commonNameOnly(name)).key,
    name,
  ]),
);

/** Why a certificate is distrusted whoever trusts it; undefined for every other one. */
export function distrustFault(key: PublicKey, issuer: CanonicalName): CertificateFault | undefined {
  const product = issuer.parts.map((part) => publishedIssuers.get(part)).find((name) => name !== undefined);
  const detail =
    distrustedKeys.get(createHash('sha256').update(key.whole).digest('hex')) ??
    (product === undefined ? undefined : publicKeyOf(product));
  return detail === undefined ? undefined : { code: 'ORIGIN_CERT_DISTRUSTED', detail };
}
