import { addressBlocks, listen } from './schema-parts.ts';
import type { ObjectSchema, UnionSchema } from './schema-type.ts';

/**
 * Loopback and the private ranges (RFC 1918, RFC 4193): where a load balancer in front of the gateway stands. None of
 * them can be spoofed from the Internet over TCP.
 */
const privateBlocks = ['127.0.0.0/8', '::1/128', '10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7'];

const common = {
  listen,
  proxyProtocol: {
    type: 'string',
    enum: ['off', 'accept', 'require'],
    default: 'off',
    description:
      'PROXY protocol v1 or v2 from a load balancer in front: `accept` believes a header from a trusted proxy and serves clients without one too, `require` refuses connections without one.',
    examples: ['accept'],
  },
  trustedProxies: {
    ...addressBlocks,
    default: privateBlocks,
    description: 'Whose PROXY protocol header is believed.',
    examples: [['10.0.0.0/28']],
  },
} as const;

const credential = {
  type: 'object',
  description: 'One user. Give either `password` or `passwordFile`.',
  required: ['user'],
  properties: {
    user: { type: 'string', format: 'user', description: 'User name.', examples: ['ci'] },
    password: {
      type: 'string',
      format: 'password',
      description: 'Password; only its SHA-256 is kept in memory.',
      examples: ['correct horse battery staple'],
    },
    passwordFile: {
      type: 'string',
      format: 'path',
      description: 'File whose first line is the password.',
      examples: ['/run/secrets/ci-password'],
    },
  },
} as const satisfies ObjectSchema;

const explicit = {
  type: 'object',
  description: 'A proxy that clients are set to use: CONNECT, absolute-form HTTP and SOCKS5 on one port.',
  required: ['mode', 'listen'],
  properties: {
    mode: { type: 'string', const: 'explicit', description: 'Clients know the proxy.' },
    ...common,
    credentials: {
      type: 'array',
      items: credential,
      default: [],
      description:
        'Users who may use the proxy (Basic for HTTP, user/password for SOCKS5). Empty: everyone who reaches it.',
      examples: [[{ user: 'ci', passwordFile: '/run/secrets/ci-password' }]],
    },
  },
} as const satisfies ObjectSchema;

const transparent = {
  type: 'object',
  description: 'Connections that the kernel redirects here (`daylight net up`); clients know nothing of it.',
  required: ['mode', 'listen'],
  properties: {
    mode: { type: 'string', const: 'transparent', description: 'The kernel captures the traffic.' },
    ...common,
    capture: {
      type: 'string',
      enum: ['redirect', 'tproxy'],
      default: 'redirect',
      description: 'How the kernel captures: `redirect` rewrites the destination (NAT), `tproxy` keeps it.',
      examples: ['tproxy'],
    },
    spoofClient: {
      type: 'boolean',
      default: false,
      description: "Connect to the origin from the client's own address. Only with `capture: tproxy`.",
      examples: [true],
    },
  },
} as const satisfies ObjectSchema;

const certificate = {
  type: 'object',
  description: "The asset's own certificate and key, served in place of a leaf.",
  required: ['cert', 'key'],
  properties: {
    cert: {
      type: 'string',
      format: 'path',
      description: 'PEM file: the certificate, then its intermediates.',
      examples: ['certs/shop.pem'],
    },
    key: {
      type: 'string',
      format: 'path',
      description:
        'PEM file: the private key, without passphrase. A warning says so where its mode is wider than 0600.',
      examples: ['certs/shop-key.pem'],
    },
  },
} as const satisfies ObjectSchema;

const reverse = {
  type: 'object',
  description: 'A published endpoint: whoever connects here is relayed to one origin.',
  required: ['mode', 'listen', 'origin'],
  properties: {
    mode: { type: 'string', const: 'reverse', description: 'The gateway stands in for the origin.' },
    ...common,
    origin: {
      type: 'string',
      format: 'endpoint',
      description: 'Where the endpoint really is.',
      examples: ['10.0.0.5:443'],
    },
    originTls: {
      type: 'string',
      enum: ['as-client', 'always', 'never'],
      default: 'as-client',
      description: 'Whether the origin leg is TLS: as the client leg, always, or never.',
      examples: ['always'],
    },
    originName: {
      type: 'string',
      format: 'host-name',
      description:
        'Name to verify the origin by when the client names none, and always where `certificate` is set. Default: the host of `origin`.',
      examples: ['shop.example'],
    },
    asset: {
      type: 'string',
      format: 'identifier',
      description: 'The asset (`assets`) that this endpoint is.',
      examples: ['shop-gaap'],
    },
    certificate,
    sendProxyProtocol: {
      type: 'string',
      enum: ['off', 'v1', 'v2'],
      default: 'off',
      description: 'Tell the origin the address of the client in a PROXY protocol header.',
      examples: ['v2'],
    },
  },
} as const satisfies ObjectSchema;

/** One listener; `mode` says which. */
export const listener = {
  description: 'Where and how connections are accepted.',
  discriminator: { propertyName: 'mode' },
  oneOf: [explicit, transparent, reverse],
} as const satisfies UnionSchema;
