import type { IncomingMessage } from 'node:http';
import { createServer } from 'node:https';
import { type FarmOrigin, openOrigin } from '../selftest/farm-origin.ts';
import type { PemCredentials } from '../selftest/tls-origin.ts';

/** A web server that keeps what is posted to it. */
export interface WebOrigin extends FarmOrigin {
  /** Bodies of the requests that arrived whole. */
  readonly bodies: readonly string[];
}

const mostBytes = 65_536;
const mostBodies = 1_000;

/** Starts an HTTPS server on the loopback. */
export async function openWebOrigin(credentials: PemCredentials): Promise<WebOrigin> {
  const bodies: string[] = [];
  let bytes = 0;
  const server = createServer(credentials, (request, response) => {
    request.on('data', (chunk: Buffer) => (bytes += chunk.length));
    void bodyOf(request).then(
      (body) => {
        if (bodies.length < mostBodies) bodies.push(body);
        response.writeHead(201, { 'content-type': 'application/json' });
        response.end(`${JSON.stringify({ received: bodies.length })}\n`);
      },
      () => response.destroy(),
    );
  });
  const origin = await openOrigin(server, () => bytes);
  return { ...origin, bodies };
}

/** Rejects when the request ends before its time, or is too long. */
async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    length += chunk.length;
    if (length > mostBytes) throw new Error('too long');
  }
  return Buffer.concat(chunks).toString();
}
