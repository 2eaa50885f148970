import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { getCACertificates } from 'node:tls';
import { certificatesInPem } from '../pki/pem.ts';
import { javaTrustStore } from './java-trust-store.ts';

/** Files that let programs trust the gateway's CA, beside what they trusted before. */
export interface TrustFiles {
  /** PEM of all roots and the CA: for variables that replace a program's own roots. */
  readonly bundle: string;
  /** PEM of the CA and what `NODE_EXTRA_CA_CERTS` named: for variables that add to them. */
  readonly extra: string;
  /** The bundle as a Java trust store. */
  readonly java: string;
  /** Wget reads its roots from a start-up file alone. */
  readonly wgetrc: string;
}

/** Writes the trust files into a directory. `given` is the environment that the command would have had without us. */
export function writeTrustFiles(directory: string, caPem: string, given: NodeJS.ProcessEnv): TrustFiles {
  const files = {
    bundle: join(directory, 'ca-bundle.pem'),
    extra: join(directory, 'ca-extra.pem'),
    java: join(directory, 'trust-store.jks'),
    wgetrc: join(directory, 'wgetrc'),
  };
  const bundle = `${rootsOf(given).trimEnd()}\n${caPem}`;
  const wgetrc = given.WGETRC ?? (given.HOME === undefined ? undefined : join(given.HOME, '.wgetrc'));
  writeFileSync(files.bundle, bundle);
  writeFileSync(files.extra, `${textOf(given.NODE_EXTRA_CA_CERTS)}\n${caPem}`);
  // What is not base64 inside is left to others to complain about.
  const certificates = certificatesInPem(bundle).filter((der) => der !== undefined);
  writeFileSync(files.java, javaTrustStore(certificates, Date.now()));
  writeFileSync(files.wgetrc, `${textOf(wgetrc)}\nca_certificate = ${files.bundle}\n`);
  return files;
}

/** What the command would have trusted: what it was told to, or the system's roots, or Node's where there are none. */
function rootsOf(given: NodeJS.ProcessEnv): string {
  const told = textOf(given.SSL_CERT_FILE);
  if (told !== '') return told;
  const system = getCACertificates('system');
  return (system.length > 0 ? system : getCACertificates('bundled')).join('\n');
}

/** Text of a file, empty if it cannot be read: it would not have served the command either. */
function textOf(path: string | undefined): string {
  if (path === undefined || path === '') return '';
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
