import { hostPatterns, identifiers } from './schema-parts.ts';
import type { ObjectSchema } from './schema-type.ts';

/** Certificates that the gateway shows to origins that ask for one. */
export const originClientCertificates = {
  type: 'object',
  default: {},
  description:
    'Origins that ask their clients for a certificate. The gateway cannot show that of its client, whose key it does not have.',
  required: [],
  properties: {
    onDemand: {
      type: 'string',
      enum: ['refuse', 'bypass'],
      default: 'refuse',
      description:
        'What becomes of a flow whose origin asks for a certificate when none is configured for it. `refuse` goes on without one, and fails with ORIGIN_CLIENT_CERT_REQUIRED if the origin insists. `bypass` passes the flow on unread, so that the client shows its own, and remembers the origin; any origin can then ask in order not to be inspected.',
      examples: ['bypass'],
    },
    bypassFor: {
      type: 'string',
      format: 'duration',
      default: '1h',
      description: 'How long an origin that asked is remembered. It is asked anew after that.',
      examples: ['10m'],
    },
    certificates: {
      type: 'array',
      default: [],
      description:
        'Certificates of the gateway itself; the first entry that fits decides. Every client that the entry fits acts in its name.',
      examples: [[{ hosts: ['api.partner.example'], cert: 'partner.pem', key: 'partner.key' }]],
      items: {
        type: 'object',
        description: 'One certificate; at least one of `hosts` and `assets`, and both must fit where both are given.',
        required: ['cert', 'key'],
        properties: {
          hosts: { ...hostPatterns, description: 'Hosts of the origins.', examples: [['api.partner.example']] },
          assets: { ...identifiers, description: 'Assets whose flows may use it.', examples: [['web-1']] },
          cert: {
            type: 'string',
            format: 'path',
            description: 'PEM file with the certificate and its intermediates.',
            examples: ['partner.pem'],
          },
          key: {
            type: 'string',
            format: 'path',
            description: 'PEM file with its key, unencrypted, mode 0600, owned by the user of the gateway, no link.',
            examples: ['partner.key'],
          },
        },
      },
    },
  },
} as const satisfies ObjectSchema;
