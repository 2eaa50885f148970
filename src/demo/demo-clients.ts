import type { IncomingMessage } from 'node:http';
import { Agent, request } from 'node:https';
import { Readable } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { Client as FtpClient } from 'basic-ftp';
import { createTransport, type SendMailOptions } from 'nodemailer';
import type { ListenAddress } from '../core/policy.ts';
import { originName } from './demo-origins.ts';

/** Time that a client gives a server before it gives up. */
const patienceMs = 15_000;

/** What a client met: the answer of a server, or the end of its attempt. */
export type Met<T> =
  | { readonly kind: 'answer'; readonly answer: T }
  | { readonly kind: 'failed'; readonly error: string };

export interface WebAnswer {
  readonly status: number;
  readonly reason: string;
  readonly body: string;
  /** Common name of who issued the certificate that was shown. */
  readonly issuer: string;
}

/** Posts to a web server through a proxy, as a program does that trusts one CA alone. */
export function post(proxy: ListenAddress, ca: string, url: string, body: string): Promise<Met<WebAnswer>> {
  const agent = new Agent({ ca, proxyEnv: { HTTPS_PROXY: `http://${proxy.ip}:${proxy.port}` } });
  const headers = { 'content-type': 'application/json' };
  const answer = new Promise<WebAnswer>((resolve, reject) => {
    const sent = request(url, { agent, method: 'POST', headers, timeout: patienceMs }, (response) => {
      const issuer = issuerOf(response.socket as TLSSocket);
      textOf(response).then(
        (text) =>
          resolve({ status: response.statusCode ?? 0, reason: response.statusMessage ?? '', body: text, issuer }),
        reject,
      );
    });
    sent.on('timeout', () => sent.destroy(new Error('no answer in time'))).on('error', reject);
    sent.end(body);
  });
  return met(answer).finally(() => agent.destroy());
}

/** Sends a mail to a published server, under STARTTLS or not at all. The answer is the server's last reply. */
export function sendMail({ port }: ListenAddress, ca: string, mail: SendMailOptions): Promise<Met<string>> {
  const transport = createTransport({
    host: originName,
    port,
    requireTLS: true,
    tls: { ca },
    connectionTimeout: patienceMs,
    greetingTimeout: patienceMs,
    socketTimeout: patienceMs,
  });
  return met(transport.sendMail(mail).then(({ response }) => response)).finally(() => transport.close());
}

/** Uploads a file to a published server, under TLS on both connections. The answer is the server's last reply. */
export async function upload({ port }: ListenAddress, ca: string, name: string, content: Buffer): Promise<Met<string>> {
  const client = new FtpClient(patienceMs);
  const answer = async (): Promise<string> => {
    await client.access({
      host: originName,
      port,
      user: 'demo',
      password: 'demo',
      secure: true,
      secureOptions: { ca },
    });
    return (await client.uploadFrom(Readable.from([content]), name)).message;
  };
  return met(answer()).finally(() => client.close());
}

async function met<T>(answer: Promise<T>): Promise<Met<T>> {
  try {
    return { kind: 'answer', answer: await answer };
  } catch (error) {
    const { message, response } = error as Error & { readonly response?: string };
    // OpenSSL says much more of an alert than its name.
    const alert = /ssl\/tls alert ([a-z ]+)/.exec(message)?.[1];
    return { kind: 'failed', error: response ?? (alert === undefined ? message : `TLS alert "${alert}"`) };
  }
}

function issuerOf(socket: TLSSocket): string {
  return /^CN=(.*)$/m.exec(socket.getPeerX509Certificate()?.issuer ?? '')?.[1] ?? '';
}

async function textOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}
