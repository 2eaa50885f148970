import type { ClientHello, LeafKeyType } from '../core/tls.ts';

/** ECDSA signature schemes (RFC 8446 section 4.2.3). */
const ecdsaP256 = 0x0403;
const ecdsaSchemes = new Set([0x0403, 0x0503, 0x0603]);
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

/**
 * Whether the client can check the authority's signature on the leaf. Only clients without ECDSA are turned away from an
 * ECDSA authority: those of the opposite kind know RSA roots in practice and judge for themselves. A client without the
 * extension takes RSA (RFC 5246 section 7.4.1.4.1).
 */
export function acceptsAuthority(hello: ClientHello, authorityKeyType: LeafKeyType): boolean {
  return authorityKeyType === 'rsa' || hello.signatureAlgorithms.some((scheme) => ecdsaSchemes.has(scheme));
}
