import { hostPattern } from './schema-parts.ts';
import type { ArraySchema, ScalarSchema } from './schema-type.ts';

/** What becomes of a flow whose origin fails its check. */
export const originFailureAction = {
  type: 'string',
  enum: ['close', 'warn', 'bypass'],
  description: 'See `onOriginFailure`.',
} as const satisfies ScalarSchema;

/** The same for some hosts. */
export const originFailures = {
  type: 'array',
  default: [],
  description:
    'What becomes of flows to some hosts when their origin fails its check; the first entry that fits decides, before what the asset says and before `onOriginFailure`. A host that only the ClientHello names can make this stricter, and gets `bypass` only where its name leads.',
  examples: [[{ hosts: ['old.example'], action: 'bypass', reason: 'clients pin its certificate' }]],
  items: {
    type: 'object',
    description: 'One group of hosts.',
    required: ['hosts', 'action', 'reason'],
    properties: {
      hosts: {
        type: 'array',
        items: hostPattern,
        minItems: 1,
        description: 'Hosts of the origins.',
        examples: [['old.example']],
      },
      action: { ...originFailureAction, examples: ['bypass'] },
      reason: { type: 'string', format: 'reason', description: 'Why.', examples: ['clients pin its certificate'] },
    },
  },
} as const satisfies ArraySchema;
