import { createCipheriv, pbkdf2Sync, randomBytes } from 'node:crypto';
import { integer, nothing, octetString, oid, sequence } from './der-writer.ts';
import { oids } from './oids.ts';

export interface Encrypted {
  /** AlgorithmIdentifier. */
  readonly algorithm: Buffer;
  readonly encrypted: Buffer;
}

/** PBES2 with PBKDF2 (RFC 8018 section 6.2): AES-256-CBC under a key of HMAC-SHA-256. */
export function encryptPbes2(plain: Uint8Array, password: string, iterations: number): Encrypted {
  const salt = randomBytes(16);
  const iv = randomBytes(16);
  const cipher = createCipheriv('aes-256-cbc', pbkdf2Sync(password, salt, iterations, 32, 'sha256'), iv);
  const derivation = sequence(
    oid(oids.pbkdf2),
    sequence(octetString(salt), integer(iterations), sequence(oid(oids.hmacSha256), nothing())),
  );
  return {
    algorithm: sequence(oid(oids.pbes2), sequence(derivation, sequence(oid(oids.aes256Cbc), octetString(iv)))),
    encrypted: Buffer.concat([cipher.update(plain), cipher.final()]),
  };
}
