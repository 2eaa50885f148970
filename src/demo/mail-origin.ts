import { SMTPServer } from 'smtp-server';
import { type FarmOrigin, openOrigin } from '../selftest/farm-origin.ts';
import type { PemCredentials } from '../selftest/tls-origin.ts';

/** A mail server that keeps what it takes. */
export interface MailOrigin extends FarmOrigin {
  /** Mails that it took responsibility for. */
  readonly mails: readonly string[];
}

const mostBytes = 1_000_000;
const mostMails = 100;

/** Starts a mail server on the loopback that asks for STARTTLS and for no password. */
export async function openMailOrigin(credentials: PemCredentials): Promise<MailOrigin> {
  const mails: string[] = [];
  let bytes = 0;
  const server = new SMTPServer({
    ...credentials,
    name: 'localhost',
    banner: 'Daylight demo mail server',
    size: mostBytes,
    authOptional: true,
    disabledCommands: ['AUTH'],
    disableReverseLookup: true,
    logger: false,
    onData: (stream, _session, done) => {
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes <= mostMails * mostBytes) chunks.push(chunk);
      });
      stream.on('end', () => {
        if (stream.sizeExceeded || mails.length >= mostMails) return done(new Error('too much'));
        mails.push(Buffer.concat(chunks).toString('latin1'));
        done(null);
      });
    },
  });
  server.on('error', () => {});
  const origin = await openOrigin(server.server, () => bytes);
  return { ...origin, mails };
}
