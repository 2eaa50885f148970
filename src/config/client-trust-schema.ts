import { hostPattern, hostPatterns } from './schema-parts.ts';
import type { ArraySchema, ObjectSchema, ScalarSchema } from './schema-type.ts';

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

/** Hosts whose leaf clients do not accept. */
export const learnedBypass = {
  type: 'object',
  default: {},
  description:
    'Hosts whose leaf a client rejects again and again (pinned certificates), remembered for this client alone: see [learned bypass](learned-bypass.md) and `daylight bypasses`.',
  required: [],
  properties: {
    action: {
      type: 'string',
      enum: ['bypass', 'ask', 'refuse'],
      default: 'ask',
      description:
        'What follows from the evidence: `bypass` until it expires; `ask`: nothing, until an operator approves it with `daylight bypasses approve`; `refuse`: nothing at all, the evidence is only listed.',
      examples: ['bypass'],
    },
    rejections: {
      type: 'integer',
      minimum: 1,
      maximum: 100,
      default: 3,
      description: 'So many rejections are evidence.',
      examples: [5],
    },
    within: {
      type: 'string',
      format: 'duration',
      default: '10m',
      description: 'The time in which they have to come.',
      examples: ['1h'],
    },
    for: {
      type: 'string',
      format: 'duration',
      default: '12h',
      description: 'How long a bypass lasts; then inspection is tried again.',
      examples: ['7d'],
    },
    group: {
      type: 'string',
      enum: ['client', 'asset'],
      default: 'client',
      description:
        'Who shares what is learned: the address of the client (of IPv6 its /64), or all addresses of its asset. With `asset` one client decides for all others of the asset.',
      examples: ['asset'],
    },
    never: {
      ...hostPatterns,
      description: 'Hosts for which nothing is learned or approved.',
      examples: [['*.mail.example']],
    },
  },
} as const satisfies ObjectSchema;

/** Files with further exemptions. */
export const bypassFiles = {
  type: 'array',
  default: [],
  description:
    'Files with further exemptions: each holds a list `bypass` as this file may. `config/exemptions/*.yaml` has one for finance and health, which is off as shipped.',
  examples: [['config/exemptions/*.yaml']],
  items: { type: 'string', format: 'glob', description: 'Path or pattern of such files.' },
} as const satisfies ArraySchema;
