import type { ObjectSchema, ScalarSchema } from './schema-type.ts';

/** Decrypted traffic for other tools. */
export const exportSchema = {
  type: 'object',
  default: {},
  description:
    'Decrypted traffic for other tools, as packets. It is the plaintext of intercepted flows, unmasked: protect it as you protect the traffic itself. Off unless a key stands here.',
  required: [],
  properties: {
    pcapng: {
      type: 'object',
      description: 'Rotating pcapng files, mode 0600, per relay.',
      required: ['directory'],
      properties: {
        directory: {
          type: 'string',
          format: 'path',
          description: 'Where `decrypted-*.pcapng` are written; made with mode 0700.',
          examples: ['/var/lib/daylight/packets'],
        },
        rotateBytes: {
          type: ['integer', 'string'],
          format: 'size',
          default: '100MB',
          description: 'A file of this size is followed by the next.',
          examples: ['1GB'],
        },
        rotateEvery: {
          type: 'string',
          format: 'duration',
          default: '1h',
          description: 'A file of this age is followed by the next.',
          examples: ['10m'],
        },
        keep: {
          type: 'integer',
          minimum: 0,
          maximum: 100_000,
          default: 24,
          description: 'Files kept per relay; 0 keeps all.',
          examples: [48],
        },
      },
    },
    pcapOverIp: {
      type: 'string',
      format: 'listen-address',
      description:
        'Loopback address and port of a stream of packets (PCAP-over-IP); each further relay uses the next port.',
      examples: ['127.0.0.1:57012'],
    },
  },
} as const satisfies ObjectSchema;

const keyLogFile = { type: 'string', format: 'path' } as const satisfies Omit<ScalarSchema, 'description'>;

/** Secrets of TLS sessions. */
export const keyLog = {
  type: 'object',
  default: {},
  description:
    'Secrets of TLS sessions in the format of SSLKEYLOGFILE, for Wireshark. Whoever reads them decrypts the traffic. Announced at every start, in the log and in the alarm log. Off unless a key stands here.',
  required: [],
  properties: {
    client: {
      ...keyLogFile,
      description: 'File for sessions with clients, mode 0600, appended to.',
      examples: ['/run/daylight/client-keys.log'],
    },
    origin: {
      ...keyLogFile,
      description: 'File for sessions with origins, mode 0600, appended to.',
      examples: ['/run/daylight/origin-keys.log'],
    },
  },
} as const satisfies ObjectSchema;
