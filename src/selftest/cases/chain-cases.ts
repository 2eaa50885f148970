import { commonNameOnly, extension, keyUsageExtension } from '../../pki/certificate-writer.ts';
import { nothing, sequence } from '../../pki/der-writer.ts';
import { oids } from '../../pki/oids.ts';
import {
  authority,
  type Farm,
  type FarmCredentials,
  type FarmIssuer,
  farmDomain,
  purposes,
  type Wishes,
} from '../farm.ts';
import { type BadRow, badOrigins } from '../origin-case.ts';

const host = `chain.${farmDomain}`;
const names = [host];
const untrusted = ['ORIGIN_CERT_UNTRUSTED', 'ORIGIN_CERT_INVALID'] as const;
const broken = ['ORIGIN_CERT_INVALID'] as const;
const noAuthority = ['ORIGIN_CERT_PURPOSE', 'ORIGIN_CERT_INVALID'] as const;

const leafBelow = (issuer: FarmIssuer, farm: Farm): FarmCredentials => farm.leaf({ names, issuer });
const below =
  (make: (farm: Farm) => FarmIssuer): BadRow[3] =>
  (farm) =>
    leafBelow(make(farm), farm);
/** A good leaf below an intermediate with something odd. */
const belowOdd = (wishes: Wishes): BadRow[3] => below((farm) => farm.issuer('Odd CA', wishes));
const belowExtended = (extensions: NonNullable<Wishes['extensions']>): BadRow[3] => belowOdd({ extensions });

const isNoAuthority = extension(oids.basicConstraints, true, sequence());
const unknownCritical = extension('1.3.6.1.4.1.55555.1', true, nothing());
const clientAuth = '1.3.6.1.5.5.7.3.2';

const rows: readonly BadRow[] = [
  ['self-signed leaf', ['ORIGIN_CERT_SELF_SIGNED'], host, selfSigned],
  ['root that nobody trusts', untrusted, host, below((farm) => farm.rootOf('Stranger Root'))],
  ['untrusted root sent along', untrusted, host, (farm) => withRoot(farm, farm.rootOf('Stranger Root'))],
  ['root with the name of a trusted one', untrusted, host, below((farm) => farm.rootOf('Daylight Self-test Root'))],
  ['intermediate with the name of a real one', untrusted, host, impostor],
  ['missing intermediate', untrusted, host, withoutIntermediate],
  ['leaf that issues a leaf', [...noAuthority, 'ORIGIN_CERT_UNTRUSTED'], host, issuedByLeaf],
  ['intermediate without basicConstraints', noAuthority, host, belowExtended({ basicConstraints: undefined })],
  ['intermediate that says it is no CA', noAuthority, host, belowExtended({ basicConstraints: isNoAuthority })],
  [
    'intermediate that may not sign certificates',
    noAuthority,
    host,
    belowExtended({ keyUsage: keyUsageExtension('digitalSignature') }),
  ],
  ['intermediate of X.509 v1', noAuthority, host, belowOdd({ version: 1 })],
  ['intermediate for clients only', noAuthority, host, belowExtended({ extendedKeyUsage: purposes(clientAuth) })],
  ['path length of an intermediate exceeded', broken, host, below((farm) => lowerThanAllowed(farm))],
  [
    'path length of the root exceeded',
    broken,
    host,
    below((farm) => farm.issuer('Lower CA', { issuer: farm.shortRoot })),
  ],
  ['damaged signature of the leaf', broken, host, (farm) => farm.leaf({ names, damaged: true })],
  ['damaged signature of an intermediate', broken, host, belowOdd({ damaged: true })],
  ['issuer of another name', untrusted, host, (farm) => farm.leaf({ names, issuerName: commonNameOnly('Nobody') })],
  ['unknown critical extension in an intermediate', broken, host, belowExtended({ more: unknownCritical })],
];

/** Costs time and memory, but proves who the origin is. */
const looseRows: readonly BadRow[] = [
  ['chain of twelve CAs', [...broken, ...untrusted], host, below((farm) => farm.descent(12))],
  [
    'certificate message of 10 000 names',
    ['ORIGIN_CERT_INVALID', 'ORIGIN_HANDSHAKE_FAILED'],
    host,
    (farm) => farm.leaf({ names: [host, ...Array.from({ length: 10_000 }, (_, at) => `n${at}.${farmDomain}`)] }),
  ],
];

/** Chains that do not lead to a trusted root by the rules of RFC 5280. */
export const chainCases = [...badOrigins('chain', 'F', rows), ...badOrigins('chain', 'B', looseRows)];

function selfSigned(farm: Farm): FarmCredentials {
  const key = farm.key('P-256');
  return farm.leaf({
    names,
    key,
    issuer: { subject: commonNameOnly(host), key, certificate: Buffer.alloc(0), chain: [] },
  });
}

function withRoot(farm: Farm, root: FarmIssuer): FarmCredentials {
  const { certificates, key } = leafBelow(root, farm);
  return { certificates: [...certificates, root.certificate], key };
}

/** Signed with a key of its own under the name of the real intermediate, which is sent along. */
function impostor(farm: Farm): FarmCredentials {
  const { subject, certificate, key } = farm.intermediate;
  const stolenName = { ...farm.rootOf('Impostor').key, identifier: key.identifier };
  return leafBelow({ subject, key: stolenName, certificate, chain: [certificate] }, farm);
}

function withoutIntermediate(farm: Farm): FarmCredentials {
  const { certificates, key } = farm.leaf({ names });
  return { certificates: certificates.slice(0, 1), key };
}

function issuedByLeaf(farm: Farm): FarmCredentials {
  const name = `issuer.${farmDomain}`;
  const chain = farm.leaf({ names: [name] }).certificates;
  const [certificate = Buffer.alloc(0)] = chain;
  return leafBelow({ subject: commonNameOnly(name), key: farm.key('P-256'), certificate, chain }, farm);
}

function lowerThanAllowed(farm: Farm): FarmIssuer {
  const lowest = farm.issuer('Lowest CA', { extensions: { basicConstraints: authority(0) } });
  return farm.issuer('Lower CA', { issuer: lowest });
}
