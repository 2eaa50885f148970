import { limits } from '../core/limits.ts';
import type { Algorithm, PublicKey } from './certificate.ts';
import { DerReader, readInteger, readOid } from './der-reader.ts';
import { contextConstructed, tags } from './der-tags.ts';
import { oids } from './oids.ts';

/** Smallest RSA modulus that is trusted (CA/B baseline requirements section 6.1.5, and 112 bits of security). */
const rsaBits = 2_048;

/** Curves of 128 bits and more that TLS names and certificates use. */
const curves = new Set<string>([oids.p256, oids.p384, oids.p521]);
/** Keys whose algorithm alone says how strong they are. */
const fixedKeys = new Set<string>([oids.ed25519, oids.ed448, oids.mlDsa44, oids.mlDsa65, oids.mlDsa87]);
const strongHashes = new Set<string>([oids.sha256, oids.sha384, oids.sha512]);
const strongSignatures = new Set<string>([
  oids.rsaSha256,
  oids.rsaSha384,
  oids.rsaSha512,
  oids.ecdsaSha256,
  oids.ecdsaSha384,
  oids.ecdsaSha512,
  ...fixedKeys,
]);

/** Why a public key is too weak to prove anything, e.g. `RSA 1024 bits`; undefined when it is strong. */
export function keyWeakness(key: PublicKey): string | undefined {
  const { oid, parameters } = key.algorithm;
  if (oid === oids.rsa || oid === oids.rsaPss) return rsaWeakness(key.bits);
  if (fixedKeys.has(oid)) return undefined;
  if (oid !== oids.ec) return `key algorithm ${oid}`;
  const curve = parameters[0] === tags.oid ? readOid(new DerReader(parameters).read().content) : 'without a name';
  return curves.has(curve) ? undefined : `elliptic curve ${curve}`;
}

/** Why a certificate's signature is too weak, e.g. MD5 or SHA-1; undefined when it is strong. */
export function signatureWeakness({ oid, parameters }: Algorithm): string | undefined {
  if (strongSignatures.has(oid)) return undefined;
  if (oid === oids.rsaPss && strongHashes.has(pssHash(parameters))) return undefined;
  return `signature algorithm ${oid}`;
}

function rsaWeakness(bits: Buffer): string | undefined {
  const reader = new DerReader(bits).enter();
  const modulus = readInteger(reader.read(tags.integer).content);
  const exponent = readInteger(reader.read(tags.integer).content);
  reader.end();
  const length = bitLength(modulus);
  if (length < rsaBits || length > limits.rsaBits) return `RSA ${length} bits`;
  // CA/B baseline requirements section 6.1.5: odd lengths come from home-made or broken key generators.
  if (length % 8 !== 0) return `RSA ${length} bits, not whole octets`;
  // An even exponent is no exponent, and with 1 anyone can sign.
  const last = exponent.at(-1) ?? 0;
  return last % 2 === 0 || bitLength(exponent) < 2 ? 'RSA exponent' : undefined;
}

function bitLength(integer: Buffer): number {
  const start = integer.findIndex((octet) => octet !== 0);
  if (start < 0) return 0;
  return (integer.length - start) * 8 - (Math.clz32(integer[start] ?? 0) - 24);
}

/** Hash of RSASSA-PSS parameters (RFC 4055 section 3.1); SHA-1 when they name none. */
function pssHash(parameters: Buffer): string {
  if (parameters.length === 0) return '';
  const hash = new DerReader(parameters).enter().optional(contextConstructed(0));
  return hash === undefined ? '' : readOid(new DerReader(hash.content).enter().read(tags.oid).content);
}
