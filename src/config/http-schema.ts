import type { ObjectSchema } from './schema-type.ts';

const bodies = {
  type: 'object',
  default: {},
  description: 'How bodies are read. Codings are undone for inspection only: the bytes are forwarded as they came.',
  required: [],
  properties: {
    undecodable: {
      type: 'string',
      enum: ['allow', 'block'],
      default: 'allow',
      description:
        'A body that a rule looks at and whose content coding is unknown, broken or beyond the limits: let it pass, with `not_inspected` in its record, or block it.',
      examples: ['block'],
    },
    bombs: {
      type: 'string',
      enum: ['block', 'allow'],
      default: 'block',
      description:
        'A body that a rule looks at and that grows to more than 200 times its size, takes more than 2 seconds to decode, or finds no memory for it: block it, or let it pass as `undecodable` says.',
      examples: ['allow'],
    },
    decodeBytes: {
      type: ['integer', 'string'],
      format: 'size',
      default: '64MiB',
      description: 'What undoing the codings of one body may make; a body beyond it counts as undecodable.',
      examples: ['256MiB'],
    },
    files: {
      type: 'string',
      enum: ['record', 'off'],
      default: 'record',
      description:
        'Uploads and downloads in the record, with name, true type, size and SHA-256: named files, and programs, archives and documents without a name.',
      examples: ['off'],
    },
  },
} as const satisfies ObjectSchema;

const hold = {
  type: 'object',
  default: {},
  description: 'How much of a body waits for rules with `hold`. Other bodies never wait.',
  required: [],
  properties: {
    startBytes: {
      type: ['integer', 'string'],
      format: 'size',
      default: '64KiB',
      description: 'Of rules with `hold: start`: what waits at most, from the begin of the body.',
      examples: ['16KiB'],
    },
    bodyBytes: {
      type: ['integer', 'string'],
      format: 'size',
      default: '8MiB',
      description: 'Of rules with `hold: body`: a longer body goes on unheld from here, with `not_held` in its record.',
      examples: ['32MiB'],
    },
  },
} as const satisfies ObjectSchema;

const headersOf = <M extends string>(message: M) =>
  ({
    type: 'object',
    default: {},
    description: `Of every ${message}.`,
    required: [],
    properties: {
      remove: {
        type: 'array',
        default: [],
        description: 'Headers that are removed.',
        examples: [['X-Powered-By']],
        items: { type: 'string', format: 'header-name', description: 'Name of a header.' },
      },
      set: {
        type: 'array',
        default: [],
        description: 'Headers that are set, in place of those of the same name.',
        examples: [['X-Environment: production']],
        items: { type: 'string', format: 'header-field', description: 'Name and value of a header.' },
      },
    },
  }) as const satisfies ObjectSchema;

const headers = {
  type: 'object',
  default: {},
  description: 'Headers that are changed in every message. Each change is in the record of the transaction.',
  required: [],
  properties: { request: headersOf('request'), response: headersOf('response') },
} as const satisfies ObjectSchema;

/** HTTP inside intercepted flows. */
export const http = {
  type: 'object',
  default: {},
  description: 'HTTP inside intercepted flows.',
  required: [],
  properties: {
    h2: {
      type: 'boolean',
      default: true,
      description:
        'HTTP/2 where client and origin both speak it. Without it both are offered HTTP/1.1, and HTTP/2 without TLS is refused.',
      examples: [false],
    },
    hostMismatch: {
      type: 'string',
      enum: ['refuse', 'allow'],
      default: 'refuse',
      description:
        'A request whose Host the verified certificate of the origin does not cover (domain fronting). A host that policy treats otherwise than the name of the connection (a bypass, another client certificate) is refused in any case.',
      examples: ['allow'],
    },
    upgrades: {
      type: 'string',
      enum: ['allow', 'websocket', 'refuse'],
      default: 'allow',
      description:
        'Upgrades to other protocols. `allow`: WebSocket is inspected, any other is relayed unread, with a record; `websocket`: any other is refused; `refuse`: all are.',
      examples: ['websocket'],
    },
    bodies,
    hold,
    headers,
    altSvc: {
      type: 'string',
      enum: ['strip', 'keep'],
      default: 'strip',
      description:
        'The offer of an origin (`Alt-Svc`) to go on in HTTP/3, which is not inspected: remove it, or let it through.',
      examples: ['keep'],
    },
  },
} as const satisfies ObjectSchema;
