import { createHmac, hash, type KeyObject, randomBytes, X509Certificate } from 'node:crypto';
import { tags } from './der-tags.ts';
import { explicit, implicit, integer, nothing, octetString, oid, sequence, setOf, value } from './der-writer.ts';
import { oids } from './oids.ts';
import { encryptPbes2 } from './pbes2.ts';

/** What goes into a PKCS#12 file. */
export interface Pkcs12Content {
  /** PEM; with a key, the first one is the key's. */
  readonly certificates: readonly string[];
  readonly key?: KeyObject;
  readonly password: string;
}

/** Rounds of key derivation: a tenth of a second for whoever has the password, and for each guess. */
const iterations = 100_000;

/**
 * A PKCS#12 file (RFC 7292) in AES-256-CBC and SHA-256, as OpenSSL 3 and Java 17 write it. Without a key, its certificates
 * carry the attribute by which Java takes them for trusted roots.
 */
export function writePkcs12({ certificates, key, password }: Pkcs12Content): Buffer {
  const bags = certificates.map((pem, index) => certificateBag(new X509Certificate(pem).raw, key !== undefined, index));
  const safes = [encryptedSafe(sequence(...bags), password)];
  if (key !== undefined) safes.push(plainContent(sequence(keyBag(key, password))));
  const safeContent = sequence(...safes);
  return sequence(integer(3), plainContent(safeContent), authenticity(safeContent, password));
}

function certificateBag(der: Uint8Array, hasKey: boolean, index: number): Buffer {
  const content = sequence(oid(oids.x509Certificate), explicit(0, octetString(der)));
  const own = attribute(oids.localKeyId, octetString(Uint8Array.of(1)));
  const trusted = attribute(oids.javaTrustedKeyUsage, oid(oids.anyExtendedKeyUsage));
  const name = attribute(oids.friendlyName, bmpString(`daylight-ca-${index + 1}`));
  const attributes = hasKey ? (index === 0 ? [own, name] : [name]) : [name, trusted];
  return sequence(oid(oids.pkcs12CertificateBag), explicit(0, content), setOf(...attributes));
}

function keyBag(key: KeyObject, password: string): Buffer {
  const { algorithm, encrypted } = encryptPbes2(key.export({ type: 'pkcs8', format: 'der' }), password, iterations);
  return sequence(
    oid(oids.pkcs12KeyBag),
    explicit(0, sequence(algorithm, octetString(encrypted))),
    setOf(attribute(oids.localKeyId, octetString(Uint8Array.of(1)))),
  );
}

function encryptedSafe(bags: Uint8Array, password: string): Buffer {
  const { algorithm, encrypted } = encryptPbes2(bags, password, iterations);
  const content = sequence(oid(oids.pkcs7Content), algorithm, implicit(0, encrypted));
  return sequence(oid(oids.pkcs7Encrypted), explicit(0, sequence(integer(0), content)));
}

function plainContent(content: Uint8Array): Buffer {
  return sequence(oid(oids.pkcs7Content), explicit(0, octetString(content)));
}

function attribute(type: string, content: Uint8Array): Buffer {
  return sequence(oid(type), setOf(content));
}

function authenticity(content: Uint8Array, password: string): Buffer {
  const salt = randomBytes(16);
  const mac = createHmac('sha256', macKey(password, salt)).update(content).digest();
  const digest = sequence(sequence(oid(oids.sha256), nothing()), octetString(mac));
  return sequence(digest, octetString(salt), integer(iterations));
}

/** Key derivation of RFC 7292 appendix B.2 for one block of SHA-256: n, u and the output are 32 octets, v is 64. */
function macKey(password: string, salt: Uint8Array): Buffer {
  const forMac = 3;
  const repeated = (octets: Uint8Array): Buffer => Buffer.alloc(64 * Math.ceil(octets.length / 64), octets);
  const terminated = utf16(`${password}\0`);
  let block = Buffer.concat([Buffer.alloc(64, forMac), repeated(salt), repeated(terminated)]);
  for (let round = 0; round < iterations; round++) block = hash('sha256', block, 'buffer');
  return block;
}

function bmpString(text: string): Buffer {
  return value(tags.bmpString, utf16(text));
}

function utf16(text: string): Buffer {
  return Buffer.from(text, 'utf16le').swap16();
}
