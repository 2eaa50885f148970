import { X509Certificate } from 'node:crypto';
import { canonicalName } from './canonical-name.ts';
import { parseCertificate } from './certificate.ts';
import { certificatesInPem } from './pem.ts';

/** The certificates that policy trusts, found by their subject. */
export interface TrustAnchors {
  /** Those whose subject has this canonical key. */
  named(key: string): readonly X509Certificate[];
}

/** Makes PEM ready to be searched. What cannot be parsed is left out: the trust store has told of it at load. */
export function trustAnchorsOf(pems: readonly string[]): TrustAnchors {
  const ders = new Map<string, Buffer[]>();
  const ready = new Map<string, readonly X509Certificate[]>();
  for (const der of pems.flatMap(certificatesInPem)) {
    const key = subjectKeyOf(der);
    if (der !== undefined && key !== undefined) ders.set(key, [...(ders.get(key) ?? []), der]);
  }
  return {
    named: (key) => {
      // One or two of 140 are ever used: OpenSSL need not hold all of them a second time.
      const present = ready.get(key) ?? ders.get(key)?.map((der) => new X509Certificate(der)) ?? [];
      if (present.length > 0) ready.set(key, present);
      return present;
    },
  };
}

function subjectKeyOf(der: Buffer | undefined): string | undefined {
  try {
    return der === undefined ? undefined : canonicalName(parseCertificate(der).subject).key;
  } catch {
    return undefined;
  }
}
