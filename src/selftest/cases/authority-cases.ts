import { farmDomain } from '../farm.ts';
import { badOrigins, type OriginCase } from '../origin-case.ts';

const host = `own.${farmDomain}`;

/** An origin that somebody runs who has the gateway's CA; not there where its key is not at hand. */
export function authorityCases(hasGatewayCa: boolean): readonly OriginCase[] {
  if (!hasGatewayCa) return [];
  return badOrigins('chain', 'F', [
    [
      "issued by the gateway's own CA",
      ['ORIGIN_CERT_OWN_AUTHORITY', 'ORIGIN_CERT_UNTRUSTED', 'ORIGIN_CERT_INVALID'],
      host,
      (farm) => farm.leaf({ names: [host], issuer: farm.gatewayCa ?? farm.intermediate }),
    ],
  ]);
}
