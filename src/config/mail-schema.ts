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
        'How much of a mail waits for its verdict where rules look at mails. What is longer passes as it is judged, all but its end, and blocking it ends the session.',
      examples: ['10MiB'],
    },
  },
} as const satisfies ObjectSchema;
