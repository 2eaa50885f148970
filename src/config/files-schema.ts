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
    clearData: {
      type: 'string',
      enum: ['allow', 'refuse'],
      default: 'allow',
      description:
        'Transfers in clear while the control connection is under TLS: PROT C passes, or is refused (534), and so is a transfer that PROT P does not protect (522). Sessions without TLS are not concerned.',
      examples: ['refuse'],
    },
    requireResumption: {
      type: 'boolean',
      default: false,
      description:
        'Whether a data connection under TLS must resume the session of its control connection, which nobody else can: one that does not is refused (522). Not every client can (docs/protocols.md). A client without ALPN then resumes no earlier session with its control connection.',
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
    authSsl: {
      type: 'string',
      enum: ['refuse', 'allow'],
      default: 'refuse',
      description:
        'AUTH SSL, the old name of AUTH TLS, behind which servers differ on whether data are protected: a client must say so by PROT before its first transfer.',
      examples: ['allow'],
    },
    clearCommandChannel: {
      type: 'string',
      enum: ['refuse', 'allow'],
      default: 'refuse',
      description:
        'CCC, by which a client ends TLS on its control connection behind its login, as firewalls that read PORT and PASV need it: refused (533), or passed on, and then both legs go on in plaintext; PROT P stays in force. With requireTls it is refused (534). Allowed, it costs CPU on TLS connections of clients without ALPN.',
      examples: ['allow'],
    },
    unread: {
      type: 'string',
      enum: ['allow', 'refuse'],
      default: 'allow',
      description:
        'Sessions whose data connections cannot be led through the gateway: those of programs of the gateway host (`net up --local`) and at listeners with `originTls: never` or `always`. They pass unread, with a record that says why, or are refused (421).',
      examples: ['refuse'],
    },
    blockedUpload: {
      type: 'string',
      enum: ['keep', 'delete'],
      default: 'keep',
      description:
        'What becomes of the part of an upload that the server has when a rule or scanner blocks it: it stays there, or the gateway deletes it (DELE) in the name of the client. Uploads that continue or extend a file (REST, APPE) are never deleted.',
      examples: ['delete'],
    },
  },
} as const satisfies ObjectSchema;
