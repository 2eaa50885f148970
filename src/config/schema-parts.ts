import type { ArraySchema, ScalarSchema } from './schema-type.ts';

// Lists that several keys share; each key adds its own description.

export const hostPattern = {
  type: 'string',
  format: 'host-pattern',
  description: 'A host: `shop.example`, all below one: `*.shop.example`, an IP address, or `*` for every host.',
} as const satisfies ScalarSchema;

export const hostPatterns = {
  type: 'array',
  default: [],
  items: hostPattern,
} as const satisfies Omit<ArraySchema, 'description'>;

export const addressBlocks = {
  type: 'array',
  default: [],
  items: {
    type: 'string',
    format: 'cidr',
    description: 'A block of addresses such as `10.1.0.0/24` or `2001:db8::/32`, or a single address.',
  },
} as const satisfies Omit<ArraySchema, 'description'>;

export const identifiers = {
  type: 'array',
  default: [],
  items: { type: 'string', format: 'identifier', description: 'The `id` of an asset.' },
} as const satisfies Omit<ArraySchema, 'description'>;

export const paths = {
  type: 'array',
  default: [],
  items: { type: 'string', format: 'path', description: 'Path of a file.' },
} as const satisfies Omit<ArraySchema, 'description'>;

export const listen = {
  type: 'string',
  format: 'listen-address',
  description: 'IP address and port; `0.0.0.0` and `[::]` mean all addresses, port 0 lets the system choose.',
  examples: ['127.0.0.1:8080', '[::]:8443'],
} as const satisfies ScalarSchema;
