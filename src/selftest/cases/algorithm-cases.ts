import type { Farm, FarmIssuer } from '../farm.ts';
import { farmDomain } from '../farm.ts';
import { makeFarmKey } from '../farm-key.ts';
import { type BadRow, badOrigins } from '../origin-case.ts';

const host = `weak.${farmDomain}`;
const names = [host];
const weak = ['ORIGIN_CERT_WEAK'] as const;
/** An origin with such a key may find no group in common, which is as good a reason. */
const weakCurve = ['ORIGIN_CERT_WEAK', 'ORIGIN_TLS_TOO_WEAK', 'ORIGIN_HANDSHAKE_FAILED'] as const;

const rows: readonly BadRow[] = [
  [
    'RSA of 512 bits',
    [...weak, 'ORIGIN_TLS_TOO_WEAK', 'ORIGIN_HANDSHAKE_FAILED'],
    host,
    (farm) => farm.leaf({ names, key: farm.key('RSA-512') }),
  ],
  ['RSA of 1024 bits', weak, host, (farm) => farm.leaf({ names, key: farm.key('RSA-1024') })],
  ['RSA of 1536 bits', weak, host, (farm) => farm.leaf({ names, key: farm.key('RSA-1536') })],
  [
    'intermediate with RSA of 1024 bits',
    weak,
    host,
    (farm) => farm.leaf({ names, issuer: farm.issuer('Weak CA', { key: farm.key('RSA-1024') }) }),
  ],
  ['leaf signed with MD5', weak, host, (farm) => farm.leaf({ names, issuer: rsaIssuer(farm), hash: 'md5' })],
  ['leaf signed with SHA-1', weak, host, (farm) => farm.leaf({ names, issuer: rsaIssuer(farm), hash: 'sha1' })],
  ['leaf signed with ECDSA and SHA-1', weak, host, (farm) => farm.leaf({ names, hash: 'sha1' })],
  [
    'intermediate signed with SHA-1',
    weak,
    host,
    (farm) => farm.leaf({ names, issuer: farm.issuer('Old CA', { hash: 'sha1' }) }),
  ],
  ['elliptic curve P-192', weakCurve, host, (farm) => farm.leaf({ names, key: farm.key('P-192') })],
  ['elliptic curve P-224', weakCurve, host, (farm) => farm.leaf({ names, key: farm.key('P-224') })],
  ['elliptic curve secp256k1', weakCurve, host, (farm) => farm.leaf({ names, key: farm.key('secp256k1') })],
  [
    'intermediate with elliptic curve P-192',
    weak,
    host,
    (farm) => farm.leaf({ names, issuer: farm.issuer('Weak CA', { key: makeFarmKey('P-192') }) }),
  ],
];

/** Keys and signatures that can be forged. */
export const algorithmCases = badOrigins('algorithms', 'C', rows);

function rsaIssuer(farm: Farm): FarmIssuer {
  return farm.issuer('RSA CA', { key: farm.key('RSA-2048') });
}
