import { hostPatterns, identifiers } from './schema-parts.ts';
import type { ArraySchema } from './schema-type.ts';

/** Content scanners that bodies are shown to. */
export const scanners = {
  type: 'array',
  default: [],
  description:
    'Content scanners (virus scanners) that bodies of HTTP messages and parts of mails are shown to over ICAP before they go on.',
  examples: [[{ id: 'av', url: 'icap://127.0.0.1:1344/avscan' }]],
  items: {
    type: 'object',
    description: 'One scanner. Without `hosts` and `assets` it applies to all flows that are intercepted.',
    required: ['id', 'url'],
    properties: {
      id: {
        type: 'string',
        format: 'identifier',
        description: 'Its name in records, alarms and metrics.',
        examples: ['av'],
      },
      url: {
        type: 'string',
        format: 'icap-url',
        description: 'Its service. The port is 1344 where none is given.',
        examples: ['icap://127.0.0.1:1344/avscan'],
      },
      mode: {
        type: 'string',
        enum: ['request', 'response', 'both'],
        default: 'both',
        description: 'Whose bodies it is shown: uploads and mails (REQMOD), downloads (RESPMOD), or both.',
        examples: ['response'],
      },
      onFailure: {
        type: 'string',
        enum: ['allow', 'block'],
        default: 'block',
        description:
          'What becomes of a message that it does not judge, because it is down, slow or broken, or because the body is longer than `maximumBytes`. Either way the record says so. What a client prevents by sending too much at once is refused in any case.',
        examples: ['allow'],
      },
      timeout: {
        type: 'string',
        format: 'duration',
        default: '10s',
        description: 'For one message. It may wait as long before, until one of the connections is free.',
        examples: ['30s'],
      },
      maximumBytes: {
        type: ['integer', 'string'],
        format: 'size',
        default: '8MiB',
        description: 'Longest body that it is shown; it is held in memory meanwhile.',
        examples: ['32MiB'],
      },
      hosts: {
        ...hostPatterns,
        description: 'Hosts of destinations, server names and requests that it applies to.',
        examples: [['*.files.example']],
      },
      assets: { ...identifiers, description: 'Assets whose flows it applies to.', examples: [['web-1']] },
      except: {
        ...hostPatterns,
        description:
          'Hosts that it does not apply to, such as those that stream: a request and its flow must lead to one.',
        examples: [['events.example']],
      },
    },
  },
} as const satisfies ArraySchema;
