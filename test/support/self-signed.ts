import { generateKeyPairSync } from 'node:crypto';
import { commonNameOnly, freshSerialNumber, signCertificate } from '../../src/pki/certificate-writer.ts';

/** A self-signed ECDSA certificate with its key, both PEM, made on the spot. */
export async function selfSigned(commonName: string): Promise<{ readonly cert: string; readonly key: string }> {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const name = commonNameOnly(commonName);
  const der = await signCertificate(
    {
      serialNumber: freshSerialNumber(),
      issuer: name,
      subject: name,
      notBefore: Date.now() - 60_000,
      notAfter: Date.now() + 3_600_000,
      publicKey: publicKey.export({ type: 'spki', format: 'der' }),
      extensions: [],
    },
    privateKey,
  );
  const lines = der.toString('base64').replace(/.{64}/g, '$&\n');
  return {
    cert: `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}
