import { originFailureAction } from './client-trust-schema.ts';
import { addressBlocks, hostPattern, hostPatterns, identifiers } from './schema-parts.ts';
import type { ArraySchema } from './schema-type.ts';

const reason = {
  type: 'string',
  format: 'reason',
} as const;

/** Protected hosts, containers and published endpoints. */
export const assets = {
  type: 'array',
  default: [],
  description:
    'What is protected. The first asset that fits a flow names it: by the address of the client, by the host of the origin, or by the reverse listener that names the asset.',
  examples: [[{ id: 'web-1', kind: 'cvm', addresses: ['10.1.0.0/24'], detect: true }]],
  items: {
    type: 'object',
    description: 'One protected host, container or endpoint.',
    required: ['id', 'kind'],
    properties: {
      id: {
        type: 'string',
        format: 'identifier',
        description: 'Name of the asset in records and rules.',
        examples: ['web-1'],
      },
      kind: {
        type: 'string',
        enum: ['cvm', 'container', 'gaap'],
        description: 'A virtual machine, a container or cluster, or a published endpoint.',
        examples: ['cvm'],
      },
      addresses: {
        ...addressBlocks,
        description: 'Addresses of clients that are this asset.',
        examples: [['10.1.0.0/24']],
      },
      hosts: { ...hostPatterns, description: 'Hosts of origins that are this asset.', examples: [['shop.example']] },
      quic: {
        type: 'string',
        enum: ['refuse', 'allow'],
        default: 'refuse',
        description:
          'QUIC (UDP 443) from its addresses in transparent mode: refused, so that clients fall back to TCP, or passed on uninspected. `daylight net up` programs it.',
        examples: ['allow'],
      },
      detect: {
        type: 'boolean',
        default: true,
        description: 'Whether its traffic is intercepted; false relays it unread, with a record.',
        examples: [false],
      },
      onOriginFailure: {
        ...originFailureAction,
        description: 'What becomes of its flows when their origin fails its check; absent: as `onOriginFailure` says.',
        examples: ['warn'],
      },
    },
  },
} as const satisfies ArraySchema;

/** Destinations and assets whose TLS is left alone. */
export const bypass = {
  type: 'array',
  default: [],
  description:
    'What is not intercepted: bytes pass unread, with a record of the flow. An entry fits when any of its hosts, addresses or assets does. Plain HTTP is looked through for hosts that `refuse` names.',
  examples: [[{ hosts: ['*.bank.example'], reason: 'privacy' }]],
  items: {
    type: 'object',
    description: 'One exemption; at least one of `hosts`, `addresses` and `assets`.',
    required: ['reason'],
    properties: {
      hosts: {
        ...hostPatterns,
        description:
          'Hosts of destinations. Of a destination that is only an address, the server name in the ClientHello counts when it resolves, and the flow goes to where it does.',
        examples: [['*.bank.example']],
      },
      addresses: { ...addressBlocks, description: 'Addresses of destinations.', examples: [['203.0.113.0/24']] },
      assets: { ...identifiers, description: 'Assets whose traffic is exempt.', examples: [['web-1']] },
      reason: { ...reason, description: 'Why; stands in every record as `bypass: <reason>`.', examples: ['privacy'] },
    },
  },
} as const satisfies ArraySchema;

/** Destinations that are not dialled. */
export const refuse = {
  type: 'array',
  default: [],
  description:
    'Destinations that are refused before anything is dialled; stronger than `bypass`. An entry fits when its hosts or addresses do and its ports do.',
  examples: [[{ hosts: ['*.ads.example'], reason: 'not for work' }]],
  items: {
    type: 'object',
    description: 'One refusal; at least one of `hosts`, `addresses` and `ports`.',
    required: ['reason'],
    properties: {
      hosts: {
        ...hostPatterns,
        description: 'Hosts of destinations, and of the ClientHello and the requests that lead to others.',
        examples: [['*.ads.example']],
      },
      addresses: { ...addressBlocks, description: 'Addresses of destinations.', examples: [['169.254.169.254']] },
      ports: {
        type: 'array',
        default: [],
        description: 'Ports of destinations; with hosts or addresses, only these ports of theirs.',
        examples: [[25, 23]],
        items: { type: 'integer', minimum: 1, maximum: 65_535, description: 'A port.' },
      },
      reason: { ...reason, description: 'Why; stands in every record.', examples: ['cloud metadata'] },
    },
  },
} as const satisfies ArraySchema;

/** Old origins that would fail the checks. */
export const originExceptions = {
  type: 'array',
  default: [],
  description:
    'Named weakenings for old origins that cannot be renewed. Every flow that used one says so in its record.',
  examples: [[{ hosts: ['old.example'], allow: ['tls1.0'], reason: 'until the device is replaced' }]],
  items: {
    type: 'object',
    description: 'One exception.',
    required: ['hosts', 'allow', 'reason'],
    properties: {
      hosts: {
        type: 'array',
        items: hostPattern,
        minItems: 1,
        description: 'Hosts of the origins.',
        examples: [['old.example']],
      },
      allow: {
        type: 'array',
        minItems: 1,
        description: 'What is allowed for these origins.',
        examples: [['tls1.0', 'rsa-key-exchange']],
        items: {
          type: 'string',
          enum: [
            'tls1.0',
            'tls1.1',
            'rsa-key-exchange',
            'dhe-key-exchange',
            'untrusted',
            'missing-eku',
            'missing-close-notify',
            'suffix-wildcard',
          ],
          description:
            'A protocol version, a key exchange, `missing-eku`: a certificate that does not name its purpose, `suffix-wildcard`: a wildcard over a public suffix such as `*.github.io`, `missing-close-notify`: bodies that end with the connection although TLS was not ended, or `untrusted`: a certificate that no trusted root vouches for.',
        },
      },
      reason: { ...reason, description: 'Why, and until when.', examples: ['until the device is replaced'] },
    },
  },
} as const satisfies ArraySchema;
