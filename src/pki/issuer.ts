import {
  createPrivateKey,
  createPublicKey,
  generateKeyPair,
  hash,
  type KeyObject,
  randomBytes,
  X509Certificate,
} from 'node:crypto';
import { promisify } from 'node:util';
import { FlowFailure } from '../core/failures.ts';
import type { LeafKeyType } from '../core/tls.ts';
import { type Certificate, parseCertificate } from './certificate.ts';
import {
  authorityKeyExtension,
  basicConstraintsExtension,
  canSign,
  commonNameOnly,
  freshSerialNumber,
  keyIdentifierOf,
  keyUsageExtension,
  signCertificate,
  subjectKeyExtension,
} from './certificate-writer.ts';
import { DerError } from './der-reader.ts';
import { distinguishedNameText } from './distinguished-name.ts';
import {
  basicConstraintsOf,
  extendedKeyUsageOf,
  keyUsageBits,
  keyUsageOf,
  nameConstraintsOf,
  subjectKeyIdentifierOf,
} from './extensions.ts';
import { type CompiledConstraints, compileConstraints } from './name-constraints.ts';
import { oids } from './oids.ts';
import { certificatesInPem, pemOf } from './pem.ts';
import { keyWeakness, signatureWeakness } from './strength.ts';

/** A CA certificate with its key: what signs. */
export interface Issuer {
  readonly pem: string;
  /** Text of the subject (RFC 4514). */
  readonly subject: string;
  /** DER of the subject: the issuer field of what it signs, byte for byte. */
  readonly subjectDer: Buffer;
  readonly key: KeyObject;
  readonly keyType: LeafKeyType;
  /** e.g. `RSA 3072` or `EC prime256v1`. */
  readonly keyName: string;
  /** subjectKeyIdentifier; of a certificate without one, what it would be. */
  readonly keyIdentifier: Buffer;
  /** SHA-256 of the certificate and of its public key, lower-case hex. */
  readonly fingerprint256: string;
  readonly keyFingerprint256: string;
  readonly notBefore: number;
  readonly notAfter: number;
  /** Names that it may issue for, where it is constrained. */
  readonly constraints: CompiledConstraints | undefined;
  /** CA certificates above it (PEM), nearest first, as far as they are known; with the root. */
  readonly chain: readonly string[];
  /** What servers send beside a leaf (PEM): itself and those above it, but never a root, which clients have. */
  readonly presented: readonly string[];
}

const day = 86_400_000;
/** Ten years: a root is installed by hand on every client. Rotation with overlap replaces it earlier. */
const rootLifetime = 3_650 * day;
/** Clients whose clock is behind must not find the new root in the future. */
const rootBackdate = day;

const generate = promisify(generateKeyPair);

/** Makes the key of a new CA. */
export async function makeKey(keyType: LeafKeyType): Promise<KeyObject> {
  // RSA by default: a client that offers only RSA signatures needs a chain of nothing else. 3072 bits last ten years.
  const { privateKey } =
    keyType === 'rsa'
      ? await generate('rsa', { modulusLength: 3_072 })
      : await generate('ec', { namedCurve: 'prime256v1' });
  return privateKey;
}

/** A unique common name of a new root, so that clients can tell two installations apart. */
export function uniqueCommonName(): string {
  return `Daylight Inspection CA ${randomBytes(4).toString('hex')}`;
}

/** Makes the self-signed root of a key that exists. */
export async function certifyRoot(commonName: string, key: KeyObject, now: number, pathLength = 0): Promise<Issuer> {
  const publicKey = createPublicKey(key).export({ type: 'spki', format: 'der' });
  const name = commonNameOnly(commonName);
  const identifier = keyIdentifierOf(publicKey);
  const der = await signCertificate(
    {
      serialNumber: freshSerialNumber(),
      issuer: name,
      subject: name,
      notBefore: now - rootBackdate,
      notAfter: now + rootLifetime,
      publicKey,
      extensions: [
        // Path length 0, unless an intermediate is to sign: no CA can ever be made below it.
        basicConstraintsExtension({ pathLength }),
        keyUsageExtension('keyCertSign', 'crlSign'),
        subjectKeyExtension(identifier),
        authorityKeyExtension(identifier),
      ],
    },
    key,
  );
  return issuerOf([pemOf('CERTIFICATE', der)], key, now);
}

/** An issuer from its certificate, the chain above it (PEM, any order, more than needed) and its key; FlowFailure GATEWAY_AUTHORITY_KEY when they cannot serve. */
export function issuerOf(certificates: readonly string[], key: KeyObject, now: number): Issuer {
  const [pem = ''] = certificates;
  const x509 = new X509Certificate(pem);
  const certificate = parseCertificate(x509.raw);
  const fault = issuerFault(x509, certificate, key, now);
  const subject = distinguishedNameText(certificate.subject);
  if (fault !== undefined) throw new FlowFailure('GATEWAY_AUTHORITY_KEY', `the certificate of ${subject} ${fault}`);
  const { whole } = certificate.publicKey;
  const chain = chainAbove(x509, certificates);
  return {
    pem: pemOfCertificate(x509),
    subject,
    subjectDer: certificate.subject,
    key,
    keyType: key.asymmetricKeyType === 'rsa' ? 'rsa' : 'ec',
    keyName: keyName(key),
    keyIdentifier: subjectKeyIdentifierOf(certificate.extensions) ?? keyIdentifierOf(whole),
    fingerprint256: hash('sha256', x509.raw, 'hex'),
    keyFingerprint256: hash('sha256', whole, 'hex'),
    notBefore: certificate.notBefore,
    notAfter: certificate.notAfter,
    constraints: constraintsOf(certificate),
    chain: chain.map(pemOfCertificate),
    presented: [x509, ...chain].filter((each) => !isIssuedBy(each, each)).map(pemOfCertificate),
  };
}

/** Reads a private key in PEM. The error says nothing of what the text holds. */
export function privateKeyOf(pem: string, from: string, passphrase?: string): KeyObject {
  try {
    return createPrivateKey(passphrase === undefined ? pem : { key: pem, passphrase });
  } catch {
    throw new FlowFailure('GATEWAY_AUTHORITY_KEY', `${from} ${keyFault(pem, passphrase)}`);
  }
}

/** OpenSSL's own words differ between versions, and might repeat a part of the file. */
function keyFault(pem: string, passphrase: string | undefined): string {
  const encrypted = /-----BEGIN ENCRYPTED|^Proc-Type: 4,ENCRYPTED/m.test(pem);
  if (!encrypted) return 'holds no private key that can be read';
  return passphrase === undefined ? 'is encrypted and needs a password' : 'is encrypted, and the password is wrong';
}

/** PEM of each certificate in text; FlowFailure GATEWAY_AUTHORITY_KEY when one cannot be read. */
export function certificatePems(text: string, from: string): readonly string[] {
  return certificatesInPem(text).map((der, index) => {
    try {
      parseCertificate(new X509Certificate(der ?? '').raw);
      return pemOf('CERTIFICATE', der ?? Buffer.alloc(0));
    } catch {
      throw new FlowFailure('GATEWAY_AUTHORITY_KEY', `certificate ${index + 1} of ${from} cannot be read`);
    }
  });
}

/** Whether the second certificate issued the first, by name, key identifiers and signature. */
function isIssuedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
}

function issuerFault(x509: X509Certificate, certificate: Certificate, key: KeyObject, now: number): string | undefined {
  if (!x509.checkPrivateKey(key)) return 'does not fit the key';
  if (!canSign(key)) return 'has a key that is neither RSA nor ECDSA on P-256, P-384 or P-521';
  const { notBefore, notAfter } = certificate;
  if (now < notBefore) return `is valid only from ${new Date(notBefore).toISOString()}`;
  if (now > notAfter) return `expired ${new Date(notAfter).toISOString()}`;
  try {
    return rightsFault(certificate) ?? strengthFault(x509, certificate);
  } catch (error) {
    if (error instanceof DerError) return 'is malformed';
    throw error;
  }
}

function rightsFault({ extensions }: Certificate): string | undefined {
  if (!basicConstraintsOf(extensions).ca) return 'is not a CA certificate';
  const usage = keyUsageOf(extensions);
  if (usage !== undefined && !usage.has(keyUsageBits.keyCertSign)) return 'may not sign certificates (key usage)';
  const purposes = extendedKeyUsageOf(extensions);
  if (purposes !== undefined && !purposes.has(oids.serverAuth) && !purposes.has(oids.anyExtendedKeyUsage)) {
    return 'may not issue for servers (extended key usage)';
  }
  return undefined;
}

/** Constraints that cannot be read would let leafs be made that no client takes. */
function constraintsOf({ extensions, subject }: Certificate): CompiledConstraints | undefined {
  const raw = nameConstraintsOf(extensions);
  const compiled = raw === undefined ? undefined : compileConstraints(raw);
  if (raw === undefined || compiled !== undefined) return compiled;
  throw new FlowFailure(
    'GATEWAY_AUTHORITY_KEY',
    `the name constraints of ${distinguishedNameText(subject)} bind no name`,
  );
}

function strengthFault(x509: X509Certificate, { publicKey, signatureAlgorithm }: Certificate): string | undefined {
  const selfSigned = isIssuedBy(x509, x509);
  const weakness = keyWeakness(publicKey) ?? (selfSigned ? undefined : signatureWeakness(signatureAlgorithm));
  return weakness === undefined ? undefined : `is too weak: ${weakness}`;
}

function chainAbove(leaf: X509Certificate, pems: readonly string[]): readonly X509Certificate[] {
  const candidates = pems.map((pem) => new X509Certificate(pem));
  const chain: X509Certificate[] = [];
  for (let last = leaf; !isIssuedBy(last, last); ) {
    const issuer = candidates.find((candidate) => isIssuedBy(last, candidate) && !chain.includes(candidate));
    if (issuer === undefined) break;
    chain.push(issuer);
    last = issuer;
  }
  return chain;
}

function pemOfCertificate({ raw }: X509Certificate): string {
  return pemOf('CERTIFICATE', raw);
}

function keyName(key: KeyObject): string {
  const details = key.asymmetricKeyDetails;
  return key.asymmetricKeyType === 'rsa' ? `RSA ${details?.modulusLength}` : `EC ${details?.namedCurve}`;
}
