import { createServer } from 'node:http';
import { farmAddress } from './farm.ts';
import { openOrigin } from './farm-origin.ts';

/** Where CAs of the farm publish CRLs and answer questions (OCSP), over plain HTTP as real ones do. */
export interface Responder extends AsyncDisposable {
  /** A place that nothing is published at yet, so that a certificate can name it. */
  reserve(): string;
  publish(url: string, content: Buffer): void;
}

/** Starts it on the loopback. What is published at a place is its answer to every question. */
export async function openResponder(): Promise<Responder> {
  const published = new Map<string, Buffer>();
  let places = 0;
  const server = createServer((request, response) => {
    const content = published.get(request.url ?? '');
    request.resume();
    if (content === undefined) return void response.writeHead(404).end();
    const type = request.method === 'POST' ? 'application/ocsp-response' : 'application/pkix-crl';
    response.writeHead(200, { 'content-type': type, 'content-length': content.length }).end(content);
  });
  const opened = await openOrigin(server, () => 0);
  return {
    reserve: () => `http://${farmAddress}:${opened.port}/${++places}`,
    publish: (url, content) => void published.set(new URL(url).pathname, content),
    [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose](),
  };
}
