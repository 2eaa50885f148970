import { createPublicKey, generateKeyPairSync, type KeyObject, randomBytes, sign, X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { tags } from '../../../src/pki/der-tags.ts';
import {
  boolean,
  explicit,
  implicit,
  integer,
  namedBits,
  nothing,
  octetBits,
  octetString,
  oid,
  sequence,
  setOf,
  time,
  unsignedInteger,
  utf8String,
  value,
} from '../../../src/pki/der-writer.ts';
import { pemOf } from '../../../src/pki/pem.ts';

/** What a certificate of the lab says; each part can break a rule. */
export interface LabSubject {
  readonly commonName?: string;
  /** The subject's name as it stands in the certificate, instead of one made of `commonName`. */
  readonly name?: Buffer;
  /** DNS names (text) and addresses (octets) of subjectAltName; raw GeneralNames are taken as they are. */
  readonly names?: readonly (string | Buffer)[];
  readonly rawNames?: readonly Buffer[];
  readonly version?: number;
  readonly notBefore?: number;
  readonly notAfter?: number;
  readonly ca?: boolean;
  readonly keyUsage?: readonly number[];
  /** Object identifiers; undefined leaves the extension out. */
  readonly purposes?: readonly string[] | undefined;
  readonly extra?: readonly Buffer[];
  readonly key?: KeyObject;
  /** Hash of the signature. */
  readonly hash?: 'sha1' | 'sha256' | 'sha384';
  readonly serialNumber?: Buffer;
}

/** A certificate with its key, able to sign others. */
export interface LabCertificate {
  readonly x509: X509Certificate;
  readonly pem: string;
  readonly der: Buffer;
  readonly key: KeyObject;
  readonly keyPem: string;
  readonly name: Buffer;
}

export const serverAuth = '1.3.6.1.5.5.7.3.1';
export const clientAuth = '1.3.6.1.5.5.7.3.2';
const hour = 3_600_000;

/** A private key. */
export function labKey(type: 'p256' | 'rsa2048' | 'rsa1024' | 'p224' | 'ed25519' = 'p256'): KeyObject {
  switch (type) {
    case 'p256':
      return generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).privateKey;
    case 'p224':
      return generateKeyPairSync('ec', { namedCurve: 'secp224r1' }).privateKey;
    case 'ed25519':
      return generateKeyPairSync('ed25519').privateKey;
    case 'rsa2048':
      return generateKeyPairSync('rsa', { modulusLength: 2_048 }).privateKey;
    case 'rsa1024':
      return generateKeyPairSync('rsa', { modulusLength: 1_024 }).privateKey;
  }
}

/** A root. */
export function labRoot(subject: LabSubject = {}): LabCertificate {
  return labCertificate(undefined, {
    commonName: `Lab root ${randomBytes(4).toString('hex')}`,
    ca: true,
    keyUsage: [5, 6],
    ...subject,
  });
}

/** A server certificate for names. */
export function labLeaf(issuer: LabCertificate, subject: LabSubject): LabCertificate {
  return labCertificate(issuer, { purposes: [serverAuth], keyUsage: [0], ...subject });
}

/** Any certificate, signed by its issuer or by itself. */
export function labCertificate(issuer: LabCertificate | undefined, subject: LabSubject): LabCertificate {
  const key = subject.key ?? labKey();
  const publicKey = createPublicKey(key).export({ type: 'spki', format: 'der' });
  const name =
    subject.name ?? (subject.commonName === undefined ? sequence() : labName(utf8String(subject.commonName)));
  const signer = issuer?.key ?? key;
  const algorithm = signatureAlgorithm(signer, subject.hash ?? 'sha256');
  const now = Date.now();
  const signed = sequence(
    ...((subject.version ?? 3) === 1 ? [] : [explicit(0, integer((subject.version ?? 3) - 1))]),
    unsignedInteger(subject.serialNumber ?? randomBytes(16)),
    algorithm,
    issuer?.name ?? name,
    sequence(time(subject.notBefore ?? now - hour), time(subject.notAfter ?? now + 24 * hour)),
    name,
    publicKey,
    ...((subject.version ?? 3) < 3 ? [] : [explicit(3, sequence(...extensions(subject)))]),
  );
  const hash = signer.asymmetricKeyType === 'ed25519' ? undefined : (subject.hash ?? 'sha256');
  const der = sequence(signed, algorithm, octetBits(sign(hash, signed, signer)));
  return {
    x509: new X509Certificate(der),
    der,
    pem: pemOf('CERTIFICATE', der),
    key,
    keyPem: key.export({ type: 'pkcs8', format: 'pem' }).toString(),
    name,
  };
}

/** One extension. */
export function labExtension(identifier: string, critical: boolean, content: Buffer): Buffer {
  return sequence(oid(identifier), ...(critical ? [boolean(true)] : []), octetString(content));
}

/** nameConstraints over DNS names. */
export function labNameConstraints(constraints: {
  readonly permitted?: readonly Buffer[];
  readonly excluded?: readonly Buffer[];
}): Buffer {
  const subtrees = (number: number, names: readonly Buffer[] = []): Buffer[] =>
    names.length === 0 ? [] : [explicit(number, ...names.map((name) => sequence(name)))];
  return labExtension(
    '2.5.29.30',
    true,
    sequence(...subtrees(0, constraints.permitted), ...subtrees(1, constraints.excluded)),
  );
}

/** GeneralName dNSName. */
export function dnsName(text: string | Buffer): Buffer {
  return implicit(2, typeof text === 'string' ? Buffer.from(text, 'latin1') : text);
}

/** GeneralName iPAddress. */
export function ipName(octets: Buffer): Buffer {
  return implicit(7, octets);
}

/** An empty directory that goes when the test ends. */
export function labDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'daylight-pki-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** A name of one common name, a string of whatever type. */
export function labName(commonName: Buffer): Buffer {
  return sequence(setOf(sequence(oid('2.5.4.3'), commonName)));
}

function extensions(subject: LabSubject): Buffer[] {
  const { names = [], rawNames = [], keyUsage, purposes, extra = [] } = subject;
  const all = [...names.map((name) => (typeof name === 'string' ? dnsName(name) : ipName(name))), ...rawNames];
  return [
    ...(subject.ca === undefined
      ? []
      : [labExtension('2.5.29.19', true, subject.ca ? sequence(boolean(true)) : sequence())]),
    ...(keyUsage === undefined ? [] : [labExtension('2.5.29.15', true, namedBits(...keyUsage))]),
    ...(purposes === undefined ? [] : [labExtension('2.5.29.37', false, sequence(...purposes.map(oid)))]),
    ...(all.length === 0 ? [] : [labExtension('2.5.29.17', subject.commonName === undefined, sequence(...all))]),
    ...extra,
  ];
}

function signatureAlgorithm(key: KeyObject, hash: 'sha1' | 'sha256' | 'sha384'): Buffer {
  if (key.asymmetricKeyType === 'ed25519') return sequence(oid('1.3.101.112'));
  const ecdsa = { sha1: '1.2.840.10045.4.1', sha256: '1.2.840.10045.4.3.2', sha384: '1.2.840.10045.4.3.3' };
  const rsa = { sha1: '1.2.840.113549.1.1.5', sha256: '1.2.840.113549.1.1.11', sha384: '1.2.840.113549.1.1.12' };
  if (key.asymmetricKeyType === 'ec') return sequence(oid(ecdsa[hash]));
  return sequence(oid(rsa[hash]), nothing());
}

/** A PrintableString, for names beyond UTF8String. */
export function printable(text: string): Buffer {
  return value(tags.printableString, Buffer.from(text, 'latin1'));
}
