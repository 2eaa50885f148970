import { type Farm, type FarmCredentials, farmAddress, farmDomain, nameConstraints, taggedName } from '../farm.ts';
import { type BadRow, badOrigins } from '../origin-case.ts';

const host = `constrained.${farmDomain}`;
const below = `x.wild.${farmDomain}`;
const broken = ['ORIGIN_CERT_INVALID'] as const;
const loopback = taggedName(7, Buffer.from('7f000000ff000000', 'hex'));

type Subtrees = Parameters<typeof nameConstraints>[0];

const constrained =
  (subtrees: Subtrees, ...names: readonly string[]) =>
  (farm: Farm): FarmCredentials =>
    farm.leaf({ names, issuer: farm.issuer('Constrained CA', { extensions: { more: nameConstraints(subtrees) } }) });

const rows: readonly BadRow[] = [
  ['CA constrained away from the host', broken, host, constrained({ excluded: [host] }, host)],
  ['CA constrained away from the domain', broken, host, constrained({ excluded: [farmDomain] }, host)],
  ['CA constrained to other hosts', broken, host, constrained({ permitted: [`other.${farmDomain}`] }, host)],
  ['wildcard that covers an excluded host', broken, below, constrained({ excluded: [below] }, `*.wild.${farmDomain}`)],
  ['second name outside the constraint', broken, host, constrained({ permitted: [host] }, host, `b.${farmDomain}`)],
  ['CA constrained away from the address', broken, farmAddress, constrained({ excluded: [loopback] }, farmAddress)],
  [
    'constraint of the CA above the issuer',
    broken,
    host,
    (farm) => {
      const more = nameConstraints({ excluded: [host] });
      const issuer = farm.issuer('Lower CA', { issuer: farm.issuer('Constrained CA', { extensions: { more } }) });
      return farm.leaf({ names: [host], issuer });
    },
  ],
];

/** Names that a CA of the chain may not vouch for. */
export const constraintCases = badOrigins('chain', 'F', rows);
