import { X509Certificate } from 'node:crypto';
import { FlowFailure } from '../core/failures.ts';
import { certificatePems, type Issuer, issuerOf, privateKeyOf } from './issuer.ts';
import { readPkcs12 } from './pkcs12-reader.ts';

/** Files of an enterprise CA, as texts with the names that messages call them by. */
export interface PemCredential {
  readonly certificates: { readonly text: string; readonly from: string };
  readonly key: { readonly text: string; readonly from: string };
  readonly password: string | undefined;
}

/** A CA from PEM: its certificate anywhere among the chain above it, and its key. Throws FlowFailure GATEWAY_AUTHORITY_KEY. */
export function issuerFromPem({ certificates, key, password }: PemCredential, now: number): Issuer {
  const pems = certificatePems(certificates.text, certificates.from);
  return fitting(pems, privateKeyOf(key.text, key.from, password), certificates.from, now);
}

/** A CA from a PKCS#12 file. Rejects with FlowFailure GATEWAY_AUTHORITY_KEY. */
export async function issuerFromPkcs12(
  file: Buffer,
  password: string | undefined,
  from: string,
  now: number,
): Promise<Issuer> {
  const { certificates, keyPem } = await readPkcs12(file, password, from);
  return fitting(certificatePems(certificates.join(''), from), privateKeyOf(keyPem, from), from, now);
}

function fitting(pems: readonly string[], key: ReturnType<typeof privateKeyOf>, from: string, now: number): Issuer {
  const own = pems.find((pem) => new X509Certificate(pem).checkPrivateKey(key));
  if (own === undefined) throw new FlowFailure('GATEWAY_AUTHORITY_KEY', `no certificate of ${from} fits the key`);
  return issuerOf([own, ...pems.filter((pem) => pem !== own)], key, now);
}
