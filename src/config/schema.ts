import { limits } from '../core/limits.ts';
import { authority } from './authority-schema.ts';
import { originClientCertificates } from './client-certificate-schema.ts';
import { bypassFiles, learnedBypass, originFailureAction, originFailures } from './client-trust-schema.ts';
import { exportSchema, keyLog } from './export-schema.ts';
import { files } from './files-schema.ts';
import { http } from './http-schema.ts';
import { listener } from './listener-schema.ts';
import { mail } from './mail-schema.ts';
import { durationText } from './quantity-format.ts';
import { revocation } from './revocation-schema.ts';
import { scanners } from './scanner-schema.ts';
import { hostPatterns, listen, paths } from './schema-parts.ts';
import type { ObjectSchema, ScalarSchema, ValueOf } from './schema-type.ts';
import { assets, bypass, originExceptions, refuse } from './traffic-schema.ts';

const tlsVersion = { type: 'string', enum: ['TLSv1.2', 'TLSv1.3'], default: 'TLSv1.2', examples: ['TLSv1.3'] } as const;

const timeout = (ms: number, description: string, example: string) =>
  ({
    type: 'string',
    format: 'duration',
    default: durationText(ms),
    description,
    examples: [example],
  }) as const satisfies ScalarSchema;

const originTrust = {
  type: 'object',
  default: {},
  description: 'Roots that origins are verified against.',
  required: [],
  properties: {
    system: { type: 'boolean', default: true, description: "Trust the system's roots.", examples: [false] },
    files: { ...paths, description: 'PEM files with further roots.', examples: [['extra-roots.pem']] },
    fetchIntermediates: {
      type: 'boolean',
      default: true,
      description:
        'Fetch intermediates that an origin fails to send, from the address in its certificate: http, bounded, and only from public addresses and `revocation.allowAddresses`. What is fetched is believed only as part of a chain that holds.',
      examples: [false],
    },
  },
} as const satisfies ObjectSchema;

const tls = {
  type: 'object',
  default: {},
  description: 'TLS on both legs.',
  required: [],
  properties: {
    client: {
      type: 'object',
      default: {},
      description: 'The leg to the client.',
      required: [],
      properties: {
        minVersion: { ...tlsVersion, description: 'Lowest version that a client may use.' },
        keyExchange: {
          type: 'array',
          minItems: 1,
          default: ['ecdhe'],
          description:
            'Key exchanges that a client may use. `ecdhe` covers TLS 1.3 and X25519MLKEM768; `dhe` and `rsa` are for old clients.',
          examples: [['ecdhe', 'dhe', 'rsa']],
          items: { type: 'string', enum: ['ecdhe', 'dhe', 'rsa'], description: 'A key exchange.' },
        },
      },
    },
    origin: {
      type: 'object',
      default: {},
      description: 'The leg to the origin.',
      required: [],
      properties: { minVersion: { ...tlsVersion, description: 'Lowest version that an origin may use.' } },
    },
    requireServerName: {
      type: 'boolean',
      default: false,
      description:
        'Refuse to intercept clients that send no server name at the start of a connection, as STIP demands. Clients that connect to an address send none.',
      examples: [true],
    },
  },
} as const satisfies ObjectSchema;

const upstream = {
  type: 'object',
  description:
    'A proxy through which origins are reached. Absent: they are dialled directly. The proxy resolves names, so that `refuse.addresses` and `bypass.addresses` hold for addresses that clients name alone; a name at a port of the gateway itself is resolved here too, and refused when it leads to a listener or the admin address.',
  required: ['proxy'],
  properties: {
    proxy: {
      type: 'string',
      format: 'proxy-url',
      description:
        'URL of an HTTP proxy that allows CONNECT, with user and password if it asks for them. Files need CONNECT to the data ports of FTP servers (docs/protocols.md).',
      examples: ['http://user:password@proxy.example:3128'],
    },
    passwordFile: {
      type: 'string',
      format: 'path',
      description: 'File whose first line is the password, in place of one in the URL.',
      examples: ['/run/secrets/upstream-password'],
    },
    except: { ...hostPatterns, description: 'Hosts that are dialled directly.', examples: [['*.internal.example']] },
  },
} as const satisfies ObjectSchema;

const records = {
  type: 'object',
  default: {},
  description: 'The traffic and alarm logs.',
  required: [],
  properties: {
    directory: {
      type: 'string',
      format: 'path',
      default: 'var/records',
      description: 'Where `traffic*.ndjson` and `alarms*.ndjson` are written.',
      examples: ['/var/log/daylight'],
    },
    rotateBytes: {
      type: ['integer', 'string'],
      format: 'size',
      default: '100MB',
      description: 'A log of this size is rotated. KB, MB, GB count in thousands, KiB, MiB, GiB in 1024s.',
      examples: ['1GB'],
    },
    rotateEvery: {
      type: 'string',
      format: 'duration',
      default: '1d',
      description: 'A log of this age is rotated.',
      examples: ['1h'],
    },
    keep: {
      type: 'integer',
      minimum: 0,
      maximum: 100_000,
      default: 0,
      description: 'Rotated files kept per log and relay; 0 keeps all: evidence is only deleted when you say so.',
      examples: [48],
    },
    bodyExcerptBytes: {
      type: 'integer',
      minimum: 0,
      maximum: 8192,
      default: limits.bodyExcerptBytes,
      description: 'Bytes of each body that a record holds; 0 for none.',
      examples: [0],
    },
    onFailure: {
      type: 'string',
      enum: ['continue', 'stop'],
      default: 'stop',
      description: 'When records cannot be written (full disk): let traffic go on and count what is lost, or stop it.',
      examples: ['continue'],
    },
    alarmDurability: {
      type: 'string',
      enum: ['write', 'sync'],
      default: 'write',
      description:
        'An alarm is handed to the kernel before its verdict acts (`write`), or is on the device by then (`sync`).',
      examples: ['sync'],
    },
  },
} as const satisfies ObjectSchema;

const timeouts = {
  type: 'object',
  default: {},
  description: 'Waits on peers.',
  required: [],
  properties: {
    opening: timeout(limits.openingTimeoutMs, 'For the complete opening of a connection.', '5s'),
    connect: timeout(limits.connectTimeoutMs, 'For the TCP connection to an origin.', '5s'),
    handshake: timeout(limits.handshakeTimeoutMs, 'For a TLS handshake.', '10s'),
    idle: timeout(limits.idleTimeoutMs, 'Without a byte in either direction.', '10m'),
    drain: timeout(
      limits.drainTimeoutMs,
      'That live flows get to end on shutdown. A client of HTTP/1.1 is told by `Connection: close` in its last response, one of HTTP/2 by GOAWAY; an HTTP/1.1 connection that is silent for a second ends.',
      '1m',
    ),
    handover: timeout(
      limits.handoverTimeoutMs,
      'That live flows get to end in relays that a reload replaces, because it changes listeners, records or exports. Relays whose flows have not ended after three such reloads get `drain` from then on.',
      '10m',
    ),
  },
} as const satisfies ObjectSchema;

/** The configuration file: the one source of its types, checks, editor schema and reference page. */
export const schema = {
  type: 'object',
  description: 'Configuration of Daylight.',
  required: [],
  properties: {
    listeners: {
      type: 'array',
      items: listener,
      minItems: 1,
      default: [{ mode: 'explicit', listen: '127.0.0.1:8080' }],
      description: 'Where and how connections are accepted.',
      examples: [[{ mode: 'explicit', listen: '127.0.0.1:8080' }]],
    },
    authority,
    originTrust,
    assets,
    defaults: {
      type: 'object',
      default: {},
      description: 'What holds for flows that belong to no asset.',
      required: [],
      properties: {
        detect: {
          type: 'boolean',
          default: true,
          description:
            'Whether they are intercepted; false relays them unread, with a record. Plain HTTP is looked through for hosts of assets that are intercepted.',
          examples: [false],
        },
      },
    },
    bypass,
    bypassFiles,
    refuse,
    rules: {
      type: 'object',
      default: {},
      description: 'Detection rules.',
      required: [],
      properties: {
        files: {
          type: 'array',
          default: [],
          description: 'Rule files; patterns may use `*`, `**` and `?`.',
          examples: [['config/rules/*.yaml']],
          items: { type: 'string', format: 'glob', description: 'Path or pattern of rule files.' },
        },
      },
    },
    records,
    export: exportSchema,
    keyLog,
    tls,
    onOriginFailure: {
      ...originFailureAction,
      default: 'close',
      description:
        'When an origin fails its check: `close` the connection with the fitting TLS alert; `warn` with a page that names the failure, behind a leaf that no client trusts; or `bypass`: dial anew and pass the flow on unread, so that the client judges the real certificate itself. With `close` and `warn` the origin receives no byte of the client.',
      examples: ['warn'],
    },
    originFailures,
    learnedBypass,
    originExceptions,
    originClientCertificates,
    revocation,
    upstream,
    http,
    scanners,
    mail,
    files,
    opaque: {
      type: 'string',
      enum: ['allow', 'refuse'],
      default: 'allow',
      description: 'Flows that are neither TLS nor HTTP: relayed unread with a record, or refused.',
      examples: ['refuse'],
    },
    timeouts,
    admin: {
      type: 'object',
      description: 'The admin address. It can never be reached through the proxy. Absent: off.',
      required: ['listen'],
      properties: { listen: { ...listen, examples: ['127.0.0.1:8081'] } },
    },
    relays: {
      type: ['integer', 'string'],
      format: 'relay-count',
      default: 'auto',
      description: 'Relay processes; `auto` starts one per core.',
      examples: [2],
    },
  },
} as const satisfies ObjectSchema;

/** A valid configuration file, parsed: formats are values, defaults are filled in. */
export type Config = ValueOf<typeof schema>;
/** One listener of a valid configuration file. */
export type ListenerConfig = Config['listeners'][number];
