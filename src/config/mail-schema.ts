import { limits } from '../core/limits.ts';
import { sizeText } from './quantity-format.ts';
import type { ObjectSchema } from './schema-type.ts';

/** Mail sessions inside intercepted flows. */
export const mail = {
  type: 'object',
  default: {},
  description: 'Mail sessions (SMTP, LMTP) inside intercepted flows.',
  required: [],
  properties: {
    requireTls: {
      type: 'boolean',
      default: false,
      description:
        'Whether mail passes over TLS only. False: a session whose origin offers no STARTTLS, or whose client does not use it, passes in plaintext and is recorded as such.',
      examples: [true],
    },
    xclient: {
      type: 'boolean',
      default: false,
      description:
        'Whether XCLIENT and XFORWARD pass, by which a mail server in front speaks for its clients. False: they are not offered.',
      examples: [true],
    },
    holdBytes: {
      type: ['integer', 'string'],
      format: 'size',
      default: sizeText(limits.mailHoldBytes),
      description:
        'How much of a mail waits for its verdict in memory where rules look at mails. What is longer waits on disk (`spool`).',
      examples: ['10MiB'],
    },
    spool: {
      type: 'object',
      default: {},
      description: 'Where longer mails wait for their verdict: in files that have no name and end with the process.',
      required: [],
      properties: {
        directory: {
          type: 'string',
          format: 'path',
          default: 'var/spool',
          description: 'Directory of the files, made with mode 0700.',
          examples: ['/var/spool/daylight'],
        },
        mailBytes: {
          type: ['integer', 'string'],
          format: 'size',
          default: '64MiB',
          description:
            'Longest mail that waits. A longer one passes as it is judged, all but its end, and blocking it ends the session. 0: none waits on disk.',
          examples: ['256MiB'],
        },
        totalBytes: {
          type: ['integer', 'string'],
          format: 'size',
          default: '1GiB',
          description:
            'Of all mails that wait on disk, per relay; then further ones pass as they are judged. Those of one client address have three quarters of it at most.',
          examples: ['10GiB'],
        },
      },
    },
    headers: {
      type: 'object',
      default: {},
      description: 'Fields that are changed in the head of every mail. Each change is in its record.',
      required: [],
      properties: {
        remove: {
          type: 'array',
          default: [],
          description: 'Fields that are removed.',
          examples: [['X-Originating-IP']],
          items: { type: 'string', format: 'mail-header-name', description: 'Name of a field.' },
        },
        set: {
          type: 'array',
          default: [],
          description: 'Fields that are set, in place of those of the same name.',
          examples: [['X-Gateway: mail.example']],
          items: { type: 'string', format: 'mail-header-field', description: 'Name and value of a field.' },
        },
      },
    },
  },
} as const satisfies ObjectSchema;
