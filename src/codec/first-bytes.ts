import type { Recognition } from '../core/opening.ts';
import { recogniseBinary } from './binary-opening.ts';
import { parseClientHello } from './client-hello.ts';
import type { Guess } from './guess.ts';
import { recogniseText } from './text-opening.ts';

export { isHttp2Greeting, recogniseBanner } from './server-banner.ts';

/**
 * Recognises a flow by the first bytes of its client, whatever the port. `partial` is said only while the bytes could
 * still become one of several things; the client of every protocol here sends enough to decide without an answer.
 */
export function recogniseOpening(bytes: Buffer): Recognition {
  const [first] = bytes;
  if (first === undefined) return { kind: 'partial' };
  if (first === tlsHandshakeRecord) return recogniseTls(bytes);
  if (tlsOtherRecords.has(first)) return recogniseTlsWithoutHello(bytes);
  const binary = recogniseBinary(bytes);
  if (binary !== undefined && binary !== 'maybe') return openingOf(binary);
  const text = recogniseText(bytes);
  if (text !== undefined && text !== 'maybe') return openingOf(text);
  return binary === 'maybe' || text === 'maybe' ? { kind: 'partial' } : openingOf('unknown');
}

const tlsHandshakeRecord = 0x16;
/** change_cipher_spec, alert, application_data and heartbeat. */
const tlsOtherRecords: ReadonlySet<number> = new Set([0x14, 0x15, 0x17, 0x18]);

/**
 * Some servers pass over such a record (GnuTLS a change_cipher_spec) and go on with the ClientHello behind it: TLS that
 * would be taken for something else.
 */
function recogniseTlsWithoutHello(bytes: Buffer): Recognition {
  if (bytes.length === 1) return { kind: 'partial' };
  if (bytes[1] !== 3) return openingOf('unknown');
  return { kind: 'malformed', code: 'CLIENT_HELLO_MALFORMED', detail: 'another record before the ClientHello' };
}

/** `16 03` is TLS on any port; DTLS (`16 fe`) and everything else that begins with 0x16 is not. */
function recogniseTls(bytes: Buffer): Recognition {
  const parse = parseClientHello(bytes);
  switch (parse.kind) {
    case 'complete':
      return { kind: 'tls', hello: parse.hello };
    case 'partial':
      return parse;
    case 'malformed':
      return parse.code === 'CLIENT_NOT_TLS' ? openingOf('unknown') : parse;
  }
}

function openingOf(guess: Exclude<Guess, 'maybe' | undefined>): Recognition {
  if (guess === 'http1' || guess === 'http2') return { kind: guess };
  return { kind: 'opaque', protocol: guess };
}
