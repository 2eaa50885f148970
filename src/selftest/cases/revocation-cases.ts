import { type Farm, type FarmCredentials, farmDomain } from '../farm.ts';
import { type BadRow, badOrigins, goodOrigins, type OriginCase, type OriginSetup } from '../origin-case.ts';
import type { Responder } from '../responder.ts';
import { crlOf, crlPoint, mustStaple, ocspOf, ocspPoint } from '../revocation-answers.ts';

const host = `revocation.${farmDomain}`;
const names = [host];
const revoked = ['ORIGIN_CERT_REVOKED'] as const;
const unknown = ['ORIGIN_REVOCATION_UNKNOWN'] as const;

const leafOf = ({ certificates: [leaf = Buffer.alloc(0)] }: FarmCredentials): Buffer => leaf;
const stapling = (credentials: FarmCredentials, staple: Buffer): OriginSetup => ({
  kind: 'tls',
  credentials,
  options: { staple },
});

/** Origins whose certificate was taken back. Those that have to be asked about need a place where the answer is. */
export function revocationCases(responder: Responder | undefined): readonly OriginCase[] {
  const asked = responder === undefined ? [] : askedRows(responder);
  const good = responder === undefined ? [] : goodRows(responder);
  return [...badOrigins('revocation', 'C', [...asked, ...stapledRows]), ...goodOrigins([...good, ...goodStaples])];
}

const stapledRows: readonly BadRow[] = [
  ['revoked by its staple', revoked, host, (farm) => stapled(farm, 'revoked')],
  [
    'promise to staple that is not kept',
    unknown,
    host,
    (farm) => farm.leaf({ names, extensions: { more: mustStaple } }),
  ],
];

const goodStaples = [
  ['good by its staple', host, (farm: Farm) => stapled(farm, 'good')],
  ['promise to staple that is kept', host, (farm: Farm) => stapled(farm, 'good', mustStaple)],
] as const;

function askedRows(responder: Responder): readonly BadRow[] {
  return [
    ['revoked by a CRL', revoked, host, (farm) => listed(farm, responder, true)],
    ['revoked by an OCSP responder', revoked, host, (farm) => answered(farm, responder, 'revoked')],
    ['intermediate revoked by a CRL', revoked, host, (farm) => issuerListed(farm, responder)],
    ['revoked, with a staple that somebody else has signed', revoked, host, (farm) => forgedStaple(farm, responder)],
    ['revoked, with the good staple of another', revoked, host, (farm) => strangeStaple(farm, responder)],
  ];
}

function goodRows(responder: Responder) {
  return [
    ['good by a CRL', host, (farm: Farm) => listed(farm, responder, false)],
    ['good by an OCSP responder', host, (farm: Farm) => answered(farm, responder, 'good')],
    ['revoked cross-signature beside a good one', host, (farm: Farm) => crossListed(farm, responder)],
  ] as const;
}

function stapled(farm: Farm, status: 'good' | 'revoked', more?: Buffer): OriginSetup {
  const credentials = farm.leaf({ names, extensions: { more } });
  return stapling(credentials, ocspOf(farm.intermediate, leafOf(credentials), status));
}

function listed(farm: Farm, responder: Responder, isRevoked: boolean): FarmCredentials {
  const url = responder.reserve();
  const credentials = farm.leaf({ names, extensions: { more: crlPoint(url) } });
  responder.publish(url, crlOf(farm.intermediate, isRevoked ? [leafOf(credentials)] : []));
  return credentials;
}

function answered(farm: Farm, responder: Responder, status: 'good' | 'revoked'): FarmCredentials {
  const url = responder.reserve();
  const credentials = farm.leaf({ names, extensions: { more: ocspPoint(url) } });
  responder.publish(url, ocspOf(farm.intermediate, leafOf(credentials), status));
  return credentials;
}

function issuerListed(farm: Farm, responder: Responder): FarmCredentials {
  const url = responder.reserve();
  const issuer = farm.issuer('Revoked CA', { extensions: { more: crlPoint(url) } });
  responder.publish(url, crlOf(farm.root, [issuer.certificate]));
  return farm.leaf({ names, issuer });
}

/** One CA with two certificates; the first that is sent is revoked. */
function crossListed(farm: Farm, responder: Responder): FarmCredentials {
  const url = responder.reserve();
  const revokedOne = farm.issuer('Cross-signed CA', { extensions: { more: crlPoint(url) } });
  const { key, subject } = revokedOne;
  const good = farm.issuer('', { key, subject });
  responder.publish(url, crlOf(farm.root, [revokedOne.certificate]));
  const { certificates, key: leafKey } = farm.leaf({ names, issuer: revokedOne });
  return { certificates: [...certificates, good.certificate], key: leafKey };
}

function forgedStaple(farm: Farm, responder: Responder): OriginSetup {
  const credentials = listed(farm, responder, true);
  return stapling(credentials, ocspOf(farm.intermediate, leafOf(credentials), 'good', farm.shortRoot.key));
}

function strangeStaple(farm: Farm, responder: Responder): OriginSetup {
  const other = leafOf(farm.leaf({ names }));
  return stapling(listed(farm, responder, true), ocspOf(farm.intermediate, other, 'good'));
}
