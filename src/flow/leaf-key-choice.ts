import type { ClientHello, LeafKeyType } from '../core/tls.ts';

/** ECDSA and RSA signature schemes (RFC 8446 section 4.2.3). */
const ecdsaP256 = 0x0403;
const rsaSchemes = new Set([0x0401, 0x0501, 0x0601, 0x0804, 0x0805, 0x0806, 0x0809, 0x080a, 0x080b]);
const tls13 = 0x0304;
const secp256r1 = 0x0017;
/** TLS 1.2 suites that authenticate with ECDSA (IANA TLS registry): ECDHE_ECDSA with AES-GCM, ChaCha20 or CBC. */
const ecdsaSuites = new Set([0xc02b, 0xc02c, 0xcca9, 0xc009, 0xc00a, 0xc023, 0xc024, 0xc0ac, 0xc0ad]);

/**
 * Chooses the key of the leaf by what the client offers: ECDSA P-256 where the client takes it (a signature costs a
 * twentieth of RSA-2048's), else RSA. The authority is RSA, so a client must know RSA signatures in any case.
 */
export function leafKeyTypeFor(hello: ClientHello): LeafKeyType {
  if (!hello.signatureAlgorithms.includes(ecdsaP256)) return 'rsa';
  if (hello.versions.includes(tls13)) return 'ec';
  const suites = hello.cipherSuites.some((suite) => ecdsaSuites.has(suite));
  const curve = hello.groups.length === 0 || hello.groups.includes(secp256r1);
  return suites && curve ? 'ec' : 'rsa';
}

/** Whether the client can check RSA signatures at all; a client without the extension can (RFC 5246 section 7.4.1.4.1). */
export function acceptsRsaSignatures(hello: ClientHello): boolean {
  return hello.signatureAlgorithms.length === 0 || hello.signatureAlgorithms.some((scheme) => rsaSchemes.has(scheme));
}
