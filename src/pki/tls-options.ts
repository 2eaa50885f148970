import { constants } from 'node:crypto';
import type { SecureContextOptions } from 'node:tls';
import type { KeyExchange, OriginException, TlsPolicy } from '../core/policy.ts';
import { noFloor, type OriginFloor } from './origin-floor.ts';

/**
 * Options of both legs. Each one that the environment could set is named here (NODE_OPTIONS, OPENSSL_CONF,
 * NODE_EXTRA_CA_CERTS and NODE_TLS_REJECT_UNAUTHORIZED change Node's defaults, never what is explicit).
 */

const tls13Suites = ['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256'];

/** TLS 1.2 suites by key exchange. ECDHE with AEAD is the only kind that is on without being asked for. */
const suites = {
  ecdhe: [
    'ECDHE-ECDSA-AES128-GCM-SHA256',
    'ECDHE-RSA-AES128-GCM-SHA256',
    'ECDHE-ECDSA-AES256-GCM-SHA384',
    'ECDHE-RSA-AES256-GCM-SHA384',
    'ECDHE-ECDSA-CHACHA20-POLY1305',
    'ECDHE-RSA-CHACHA20-POLY1305',
  ],
  dhe: ['DHE-RSA-AES128-GCM-SHA256', 'DHE-RSA-AES256-GCM-SHA384', 'DHE-RSA-CHACHA20-POLY1305'],
  rsa: ['AES128-GCM-SHA256', 'AES256-GCM-SHA384'],
} as const satisfies Record<KeyExchange, readonly string[]>;

/** CBC suites: what peers speak that know no AEAD. They come with the key exchange that was switched on for such peers. */
const oldSuites = {
  ecdhe: ['ECDHE-ECDSA-AES128-SHA', 'ECDHE-RSA-AES128-SHA', 'ECDHE-ECDSA-AES256-SHA', 'ECDHE-RSA-AES256-SHA'],
  dhe: ['DHE-RSA-AES128-SHA256', 'DHE-RSA-AES256-SHA256', 'DHE-RSA-AES128-SHA', 'DHE-RSA-AES256-SHA'],
  rsa: ['AES128-SHA256', 'AES256-SHA256', 'AES128-SHA', 'AES256-SHA'],
} as const satisfies Record<KeyExchange, readonly string[]>;

/** No SHA-1, no MD5, no DSA. ECDSA first: it costs a server less. */
const signatureAlgorithms = [
  'ecdsa_secp256r1_sha256',
  'ecdsa_secp384r1_sha384',
  'ecdsa_secp521r1_sha512',
  'ed25519',
  'ed448',
  'rsa_pss_rsae_sha256',
  'rsa_pss_rsae_sha384',
  'rsa_pss_rsae_sha512',
  'rsa_pss_pss_sha256',
  'rsa_pss_pss_sha384',
  'rsa_pss_pss_sha512',
  'rsa_pkcs1_sha256',
  'rsa_pkcs1_sha384',
  'rsa_pkcs1_sha512',
].join(':');

/** Key shares in the first flight: of both kinds, or of X25519 alone for an origin that is known to choose that. */
export type OriginKeyShares = 'all' | 'classical';

/** A star sends the key share at once: with two of them no origin needs a second round trip for the first choice alone. */
const originGroups = {
  all: '*X25519MLKEM768:*X25519:P-256:P-384:P-521',
  classical: 'X25519MLKEM768:*X25519:P-256:P-384:P-521',
} as const satisfies Record<OriginKeyShares, string>;
const hybridGroups = '*X25519MLKEM768:SecP256r1MLKEM768:SecP384r1MLKEM1024';
const strongSuite = /256_GCM|256-GCM|CHACHA20/;
const clientGroups = 'X25519MLKEM768:X25519:P-256:P-384:P-521';

const never =
  constants.SSL_OP_NO_RENEGOTIATION |
  constants.SSL_OP_NO_COMPRESSION |
  constants.SSL_OP_NO_SSLv2 |
  constants.SSL_OP_NO_SSLv3;

/** 112 bits of security: OpenSSL then refuses RSA and DH below 2048 bits, curves below 224, and SHA-1 signatures. */
const securityLevel = '@SECLEVEL=2';

/**
 * TLS towards origins, loosened only by what policy names for the origin. `ca` is empty, so that an origin is trusted by
 * nobody until the caller puts the roots of policy in its place.
 */
export function originTlsOptions(policy: {
  readonly minVersion: TlsPolicy['origin']['minVersion'];
  readonly exceptions: OriginException['allow'];
  readonly keyShares?: OriginKeyShares;
  readonly floor?: OriginFloor;
}): SecureContextOptions {
  const allows = (exception: OriginException['allow'][number]): boolean => policy.exceptions.includes(exception);
  const { floor = noFloor } = policy;
  const oldVersions = allows('tls1.0') || allows('tls1.1');
  const exchanges: KeyExchange[] = ['ecdhe'];
  if (allows('dhe-key-exchange')) exchanges.push('dhe');
  if (allows('rsa-key-exchange')) exchanges.push('rsa');
  return {
    minVersion: allows('tls1.0') ? 'TLSv1' : allows('tls1.1') ? 'TLSv1.1' : floor.tls13 ? 'TLSv1.3' : policy.minVersion,
    maxVersion: 'TLSv1.3',
    ciphers: [
      ...[
        ...tls13Suites,
        ...exchanges.flatMap((exchange) => suites[exchange]),
        ...exchanges.flatMap((exchange) => (exchange !== 'ecdhe' || oldVersions ? oldSuites[exchange] : [])),
      ].filter((suite) => !floor.strong || strongSuite.test(suite)),
      // TLS 1.0 and 1.1 sign with MD5 and SHA-1, which level 1 already forbids (OpenSSL 3.0). Keys and signatures of
      // the certificates are judged by validate at any level.
      oldVersions ? '@SECLEVEL=0' : securityLevel,
    ].join(':'),
    sigalgs: oldVersions ? `${signatureAlgorithms}:RSA+SHA1:ECDSA+SHA1` : signatureAlgorithms,
    ecdhCurve: floor.hybrid ? hybridGroups : originGroups[policy.keyShares ?? 'all'],
    secureOptions: never,
    ca: [],
    // A CA that an operator trusts need not be self-signed; our own search takes it so too.
    allowPartialTrustChain: true,
  };
}

/** TLS towards clients: the caller adds certificate, key and ticket keys. DHE groups are chosen to fit the key ('auto'). */
export function clientTlsOptions(policy: TlsPolicy['client']): SecureContextOptions {
  const exchanges = policy.keyExchange;
  return {
    minVersion: policy.minVersion,
    maxVersion: 'TLSv1.3',
    ciphers: [
      ...tls13Suites,
      ...exchanges.flatMap((exchange) => suites[exchange]),
      ...exchanges.flatMap((exchange) => (exchange === 'ecdhe' ? [] : oldSuites[exchange])),
      securityLevel,
    ].join(':'),
    honorCipherOrder: true,
    sigalgs: signatureAlgorithms,
    ecdhCurve: clientGroups,
    // A client that prefers ChaCha20 has no AES in hardware.
    secureOptions: never | constants.SSL_OP_CIPHER_SERVER_PREFERENCE | constants.SSL_OP_PRIORITIZE_CHACHA,
    ca: [],
    ...(exchanges.includes('dhe') ? { dhparam: 'auto' } : {}),
  };
}
