import { X509Certificate } from 'node:crypto';
import type { Authority } from './authority.ts';
import { certificatePems, type Issuer } from './issuer.ts';
import { writePkcs12 } from './pkcs12-writer.ts';

export type ExportFormat = 'pem' | 'der' | 'p12';

/** What clients are to trust, in a format. Only PKCS#12 takes a password, and needs one. */
export function exportCertificates(authority: Authority, format: ExportFormat, password: string): Buffer {
  switch (format) {
    case 'pem':
      return Buffer.from(authority.certificates);
    case 'der':
      // One certificate is all that DER holds: the root, where it is known, else the CA itself.
      return new X509Certificate(authority.active.chain.at(-1) ?? authority.active.pem).raw;
    case 'p12':
      return writePkcs12({
        certificates: certificatePems(authority.certificates, authority.certificateFile),
        password,
      });
  }
}

/** The active CA with its key, under a password: a backup. */
export function exportWithKey({ active }: Authority, format: 'pem' | 'p12', password: string): Buffer {
  const certificates = [active.pem, ...active.chain];
  if (format === 'p12') return writePkcs12({ certificates, key: active.key, password });
  return pemWithKey(certificates, active, password);
}

/** A root with its key, under a password: what is taken offline. */
export function rootBackup(root: Issuer, password: string): Buffer {
  return pemWithKey([root.pem], root, password);
}

function pemWithKey(certificates: readonly string[], { key }: Issuer, passphrase: string): Buffer {
  const encrypted = key.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase });
  return Buffer.from([...certificates, encrypted.toString()].join(''));
}
