import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import {
  authorityKeyExtension,
  basicConstraintsExtension,
  commonNameOnly,
  extension,
  freshSerialNumber,
  keyIdentifierOf,
  keyUsageExtension,
  signCertificate,
  subjectKeyExtension,
} from '../../src/pki/certificate-writer.ts';
import { implicit, oid, sequence } from '../../src/pki/der-writer.ts';
import { ipOctets } from '../../src/pki/ip-address.ts';
import { oids } from '../../src/pki/oids.ts';
import { pemOf } from '../../src/pki/pem.ts';

/** What a test wants of an origin's certificate; every default is a good certificate. */
export interface OriginWishes {
  readonly names: readonly string[];
  readonly keyType?: 'ec' | 'rsa';
  /** Milliseconds from now. */
  readonly validFromMs?: number;
  readonly validForMs?: number;
  /** Extended key usage: servers alone unless given; no such extension where it is empty. */
  readonly purposes?: readonly string[];
}

export interface Credentials {
  readonly cert: string;
  readonly key: string;
}

/** A root of its own, as the trusted CA of test origins. */
export interface TestAuthority {
  readonly rootPem: string;
  issue(wishes: OriginWishes): Promise<Credentials>;
}

const hourMs = 3_600_000;
const forServers = [oids.serverAuth];

/** Makes a fresh root (ECDSA P-256, or RSA-2048 where a test needs it). */
export async function createTestAuthority(
  commonName = 'Test Root',
  keyType: 'ec' | 'rsa' = 'ec',
): Promise<TestAuthority> {
  const root = makeKey(keyType);
  const subject = commonNameOnly(commonName);
  const identifier = keyIdentifierOf(root.publicDer);
  const rootDer = await signCertificate(
    {
      serialNumber: freshSerialNumber(),
      issuer: subject,
      subject,
      notBefore: Date.now() - hourMs,
      notAfter: Date.now() + 1_000 * hourMs,
      publicKey: root.publicDer,
      extensions: [
        basicConstraintsExtension({ pathLength: 1 }),
        keyUsageExtension('keyCertSign', 'crlSign'),
        subjectKeyExtension(identifier),
      ],
    },
    root.privateKey,
  );
  return {
    rootPem: pemOf('CERTIFICATE', rootDer),
    issue: (wishes) => issue(wishes, subject, identifier, root.privateKey),
  };
}

async function issue(
  wishes: OriginWishes,
  issuer: Buffer,
  identifier: Buffer,
  signingKey: KeyObject,
): Promise<Credentials> {
  const { names, keyType = 'ec', validFromMs = -hourMs, validForMs = 100 * hourMs, purposes = forServers } = wishes;
  const key = makeKey(keyType);
  const der = await signCertificate(
    {
      serialNumber: freshSerialNumber(),
      issuer,
      subject: commonNameOnly(names[0]?.slice(0, 64)),
      notBefore: Date.now() + validFromMs,
      notAfter: Date.now() + validFromMs + validForMs,
      publicKey: key.publicDer,
      extensions: [
        basicConstraintsExtension(undefined),
        keyUsageExtension('digitalSignature', 'keyEncipherment'),
        ...(purposes.length === 0
          ? []
          : [extension(oids.extendedKeyUsage, false, sequence(...purposes.map((purpose) => oid(purpose))))]),
        extension(oids.subjectAltName, false, sequence(...names.map(generalName))),
        subjectKeyExtension(keyIdentifierOf(key.publicDer)),
        authorityKeyExtension(identifier),
      ],
    },
    signingKey,
  );
  return { cert: pemOf('CERTIFICATE', der), key: key.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() };
}

function generalName(name: string): Buffer {
  const octets = ipOctets(name);
  return octets === undefined ? implicit(2, Buffer.from(name, 'latin1')) : implicit(7, octets);
}

function makeKey(keyType: 'ec' | 'rsa'): { readonly privateKey: KeyObject; readonly publicDer: Buffer } {
  const { privateKey, publicKey } =
    keyType === 'ec'
      ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
      : generateKeyPairSync('rsa', { modulusLength: 2048 });
  return { privateKey, publicDer: publicKey.export({ type: 'spki', format: 'der' }) };
}
