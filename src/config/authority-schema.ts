import type { ObjectSchema } from './schema-type.ts';

/** The CA. */
export const authority = {
  type: 'object',
  default: {},
  description: 'The CA that signs leafs. It is made on the first start if the directory holds none.',
  required: [],
  properties: {
    directory: {
      type: 'string',
      format: 'path',
      default: 'certs',
      description: 'Where the CA is kept; `ca.pem` in it is the certificate that clients install.',
      examples: ['certs'],
    },
    passphraseFile: {
      type: 'string',
      format: 'path',
      description:
        'File, or descriptor such as `/dev/fd/3`, whose first line is the passphrase that the keys of the CA are encrypted with. Keys that are not yet are encrypted when it is named.',
      examples: ['/run/credentials/daylight.service/ca-passphrase'],
    },
    backdate: {
      type: 'boolean',
      default: true,
      description:
        'Whether leafs begin five minutes back, for clients whose clocks are late. False, as STIP demands: they begin now.',
      examples: [false],
    },
  },
} as const satisfies ObjectSchema;
