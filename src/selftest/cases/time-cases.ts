import { farmDomain } from '../farm.ts';
import { type BadRow, badOrigins } from '../origin-case.ts';

const host = `time.${farmDomain}`;
const names = [host];
const expired = ['ORIGIN_CERT_EXPIRED'] as const;
const early = ['ORIGIN_CERT_NOT_YET_VALID'] as const;

const rows: readonly BadRow[] = [
  ['leaf expired a minute ago', expired, host, (farm) => farm.leaf({ names, until: -1 / 60 })],
  ['leaf expired a year ago', expired, host, (farm) => farm.leaf({ names, from: -9_500, until: -8_760 })],
  ['leaf valid from tomorrow on', early, host, (farm) => farm.leaf({ names, from: 24 })],
  [
    'leaf that ends before it begins',
    [...expired, 'ORIGIN_CERT_INVALID'],
    host,
    (farm) => farm.leaf({ names, from: -1, until: -2 }),
  ],
  ['intermediate expired', expired, host, (farm) => farm.leaf({ names, issuer: farm.issuer('Old CA', { until: -1 }) })],
  [
    'intermediate valid from tomorrow on',
    early,
    host,
    (farm) => farm.leaf({ names, issuer: farm.issuer('Young CA', { from: 24 }) }),
  ],
];

/** Certificates outside their time. */
export const timeCases = badOrigins('time', 'F', rows);
