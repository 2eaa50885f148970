import { addressBlocks, hostPatterns, identifiers } from './schema-parts.ts';
import type { ObjectSchema, ScalarSchema } from './schema-type.ts';

const mode = {
  type: 'string',
  enum: ['hard-fail', 'soft-fail', 'off'],
  description: 'See `revocation.mode`.',
} as const satisfies ScalarSchema;

/** How origins are asked about whose certificates may have been revoked. */
export const revocation = {
  type: 'object',
  default: {},
  description: 'Whether certificates of origins are checked for revocation, by stapled answers, OCSP and CRLs.',
  required: [],
  properties: {
    mode: {
      ...mode,
      default: 'soft-fail',
      description:
        'A revoked origin is always refused, but with `off`, which asks nobody. When nothing can be found out, `hard-fail` refuses the origin and `soft-fail` lets it pass with a note in the record. An origin whose certificate promises to staple must do so under both.',
      examples: ['hard-fail'],
    },
    timeout: {
      type: 'string',
      format: 'duration',
      default: '3s',
      description: 'Longest that a flow waits for it. A fetch that takes longer goes on for the next flow.',
      examples: ['5s'],
    },
    directory: {
      type: 'string',
      format: 'path',
      default: 'var/revocation',
      description: 'Where CRLs and OCSP answers are kept. They are verified anew whenever they are read.',
      examples: ['/var/cache/daylight'],
    },
    allowAddresses: {
      ...addressBlocks,
      description:
        'Private addresses that may be asked. All that are not public are refused otherwise, because certificates come from strangers.',
      examples: [['10.0.0.0/24']],
    },
    overrides: {
      type: 'array',
      default: [],
      description: 'Other modes for some hosts or assets; the first entry that fits decides.',
      examples: [[{ hosts: ['*.bank.example'], mode: 'hard-fail' }]],
      items: {
        type: 'object',
        description: 'One group; at least one of `hosts` and `assets`.',
        required: ['mode'],
        properties: {
          hosts: { ...hostPatterns, description: 'Hosts of the origins.', examples: [['*.bank.example']] },
          assets: { ...identifiers, description: 'Assets whose flows are meant.', examples: [['web-1']] },
          mode: { ...mode, examples: ['hard-fail'] },
        },
      },
    },
  },
} as const satisfies ObjectSchema;
