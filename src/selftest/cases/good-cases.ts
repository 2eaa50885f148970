import { commonNameOnly, extension } from '../../pki/certificate-writer.ts';
import { nothing, sequence } from '../../pki/der-writer.ts';
import { type Farm, type FarmCredentials, farmAddress, farmDomain, nameConstraints } from '../farm.ts';
import type { KeyKind } from '../farm-key.ts';
import { goodOrigins, type OriginSetup } from '../origin-case.ts';
import type { TlsOriginOptions } from '../tls-origin.ts';

const host = `good.${farmDomain}`;
const names = [host];

const keyed = (kind: KeyKind) => (farm: Farm) => farm.leaf({ names, key: farm.key(kind) });
const over =
  (options: TlsOriginOptions) =>
  (farm: Farm): OriginSetup => ({
    kind: 'tls',
    credentials: farm.leaf({ names, key: farm.key('RSA-2048') }),
    options,
  });

/** Every suite that the gateway offers. */
const suites = ['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256'].concat(
  ['RSA', 'ECDSA'].flatMap((kind) =>
    ['AES128-GCM-SHA256', 'AES256-GCM-SHA384', 'CHACHA20-POLY1305'].map((cipher) => `ECDHE-${kind}-${cipher}`),
  ),
);

const onlySuite =
  (suite: string) =>
  (farm: Farm): OriginSetup => ({
    kind: 'tls',
    credentials: farm.leaf({ names, key: farm.key(suite.includes('-ECDSA-') ? 'P-256' : 'RSA-2048') }),
    options: { ciphers: suite, ...(suite.startsWith('TLS_') ? { minVersion: 'TLSv1.3' } : { maxVersion: 'TLSv1.2' }) },
  });

/** Says that there is nobody to ask (RFC 9608). */
const noRevocation = extension('2.5.29.56', false, nothing());

type GoodCase = Parameters<typeof goodOrigins>[0][number];

/** Origins that nothing is wrong with, some of them of rare make. */
export const goodCases = goodOrigins([
  ['ECDSA P-256', host, keyed('P-256')],
  ['ECDSA P-384', host, keyed('P-384')],
  ['ECDSA P-521', host, keyed('P-521')],
  ['Ed25519', host, keyed('ed25519')],
  ['RSA of 2048 bits', host, keyed('RSA-2048')],
  ['RSA of 3072 bits', host, keyed('RSA-3072')],
  ['RSA CA', host, (farm) => farm.leaf({ names, issuer: farm.issuer('RSA CA', { key: farm.key('RSA-2048') }) })],
  ['issued by the root itself', host, (farm) => farm.leaf({ names, issuer: farm.shortRoot })],
  ['three intermediates', host, (farm) => farm.leaf({ names, issuer: farm.descent(3) })],
  ['expired cross-signature beside a good root', host, crossSigned],
  ['root sent along', host, (farm) => withMore(farm, (chain) => [...chain, farm.root.certificate])],
  ['intermediates in the wrong order', host, (farm) => reversed(farm)],
  [
    'needless certificate in the chain',
    host,
    (farm) => withMore(farm, ([leaf, ...rest]) => [leaf, farm.shortRoot.certificate, ...rest]),
  ],
  ['second of many names', host, (farm) => farm.leaf({ names: [`first.${farmDomain}`, host, `last.${farmDomain}`] })],
  [
    '500 names',
    host,
    (farm) => farm.leaf({ names: [...Array.from({ length: 500 }, (_, at) => `n${at}.${farmDomain}`), host] }),
  ],
  ['wildcard', host, (farm) => farm.leaf({ names: [`*.${farmDomain}`] })],
  ['upper case in the name', host, (farm) => farm.leaf({ names: [host.toUpperCase()] })],
  [
    'internationalised name',
    `xn--nme-hoa.${farmDomain}`,
    (farm) => farm.leaf({ names: [`xn--nme-hoa.${farmDomain}`] }),
  ],
  ['address', farmAddress, (farm) => farm.leaf({ names: [farmAddress], subject: commonNameOnly('An origin') })],
  ['empty subject', host, (farm) => farm.leaf({ names, subject: sequence() })],
  [
    'unknown extension that is not critical',
    host,
    (farm) => farm.leaf({ names, extensions: { more: extension('1.3.6.1.4.1.55555.2', false, nothing()) } }),
  ],
  [
    'CA constrained to the host',
    host,
    (farm) =>
      farm.leaf({
        names,
        issuer: farm.issuer('Constrained CA', { extensions: { more: nameConstraints({ permitted: [farmDomain] }) } }),
      }),
  ],
  ['valid until 2060', host, (farm) => farm.leaf({ names, until: 300_000, extensions: { more: noRevocation } })],
  ['TLS 1.2 only', host, over({ minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' })],
  ['TLS 1.3 only', host, over({ minVersion: 'TLSv1.3' })],
  ['key exchange over P-384 only', host, over({ groups: 'P-384' })],
  ['hybrid post-quantum key exchange only', host, over({ groups: 'X25519MLKEM768' })],
  ['ChaCha20 only', host, over({ maxVersion: 'TLSv1.2', ciphers: 'ECDHE-RSA-CHACHA20-POLY1305' })],
  ['asks for a certificate and goes on without', host, over({ asksCertificate: true })],
  ...suites.map((suite): GoodCase => [`suite ${suite} alone`, host, onlySuite(suite)]),
]);

/** The outage of 2020: an old root has signed the new one, and that signature has expired; the new one is trusted itself. */
function crossSigned(farm: Farm): FarmCredentials {
  const old = farm.rootOf('Old Root', { from: -9_000, until: -1 });
  const { subject, key } = farm.root;
  const cross = farm.issuer('', { issuer: old, key, subject, from: -9_000, until: -1 }).certificate;
  return withMore(farm, (chain) => [...chain, cross, old.certificate]);
}

function withMore(farm: Farm, change: (chain: readonly Buffer[]) => readonly (Buffer | undefined)[]): FarmCredentials {
  const { certificates, key } = farm.leaf({ names });
  return { certificates: change(certificates).filter((each) => each !== undefined), key };
}

function reversed(farm: Farm): FarmCredentials {
  const { certificates, key } = farm.leaf({ names, issuer: farm.descent(2) });
  const [leaf, ...chain] = certificates;
  return { certificates: leaf === undefined ? [] : [leaf, ...chain.reverse()], key };
}
