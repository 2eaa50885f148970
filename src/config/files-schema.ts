import type { ObjectSchema } from './schema-type.ts';

/** FTP sessions inside intercepted flows. */
export const files = {
  type: 'object',
  default: {},
  description: 'FTP sessions inside intercepted flows.',
  required: [],
  properties: {
    requireTls: {
      type: 'boolean',
      default: false,
      description:
        'Whether files pass over TLS only: commands other than AUTH are refused before it, and transfers that PROT P does not protect. False: plaintext passes and is recorded as such.',
      examples: [true],
    },
    passiveAddress: {
      type: 'string',
      enum: ['refuse', 'ignore'],
      default: 'refuse',
      description:
        'A server that names another address than its own in answer to PASV: the transfer is refused, or the address is ignored and the server is connected to at its own.',
      examples: ['ignore'],
    },
  },
} as const satisfies ObjectSchema;
