import { once } from 'node:events';
import { chmod } from 'node:fs/promises';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { join } from 'node:path';
import { limits } from '../core/limits.ts';
import { removeFile } from '../pki/private-files.ts';

// Not imported: that would read every export, also `WebSocket`, and so load 13 MB that nobody asked for.
const { createServer, request } = process.getBuiltinModule('node:http');

export interface ControlAnswer {
  readonly status: number;
  /** Sent as JSON; `{ error }` where the status is no success. */
  readonly body: unknown;
}

/** The one method that a path takes, the members that its JSON object may have, and what answers it. */
export interface ControlRoute {
  readonly method: 'GET' | 'POST';
  readonly members?: readonly string[];
  readonly answer: (body: Readonly<Record<string, unknown>>) => ControlAnswer;
}

/** Routes by path. */
export type ControlRoutes = Readonly<Record<string, ControlRoute>>;

/** Longest path of a Unix socket (sun_path without its last byte). */
const longestPath = 107;
const answerTimeoutMs = 10_000;

/** Where a gateway listens for commands: in the authority's directory, which is mode 0700. */
export function controlSocketPath(authorityDirectory: string): string {
  return join(authorityDirectory, 'control.sock');
}

/**
 * Listens for commands of the gateway's own user (and root): a Unix socket of mode 0600, which no port scan and no browser
 * reaches. Rejects with Error when another gateway answers there already or the path cannot be used.
 */
export async function serveControl(path: string, routes: ControlRoutes): Promise<Server> {
  if (Buffer.byteLength(path) > longestPath) throw new Error(`${path} is too long for a socket`);
  // What a gateway left behind that was killed; one that lives is never pushed aside.
  if (await isAnswered(path)) throw new Error(`another gateway answers at ${path}`);
  await removeFile(path);
  const server = createServer({ maxHeaderSize: 8_192, requestTimeout: answerTimeoutMs }, (incoming, response) => {
    void answer(incoming, response, routes).catch(() => response.destroy());
  });
  server.listen(path);
  await once(server, 'listening');
  // The directory has kept everybody else out until here.
  await chmod(path, 0o600);
  server.on('error', () => {});
  return server;
}

/** Asks a running gateway. Rejects with Error when none answers. */
export function askGateway(
  path: string,
  method: 'GET' | 'POST',
  url: string,
  body: object = {},
): Promise<ControlAnswer> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ socketPath: path, method, path: url, timeout: answerTimeoutMs }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', reject);
      response.on('end', () => {
        try {
          resolve({ status: response.statusCode ?? 0, body: JSON.parse(Buffer.concat(chunks).toString('utf8')) });
        } catch {
          reject(new Error(`the answer at ${path} is no JSON`));
        }
      });
    });
    outgoing.on('timeout', () => outgoing.destroy(new Error(`no answer at ${path} in time`)));
    outgoing.on('error', (error: NodeJS.ErrnoException) => reject(new Error(absence(path, error))));
    outgoing.end(method === 'POST' ? JSON.stringify(body) : undefined);
  });
}

function absence(path: string, { code, message }: NodeJS.ErrnoException): string {
  if (code === 'ENOENT' || code === 'ECONNREFUSED') return `no gateway answers at ${path}: is it running?`;
  return code === 'EACCES' ? `${path} is open to the user of the gateway alone` : message;
}

async function isAnswered(path: string): Promise<boolean> {
  return askGateway(path, 'GET', '/').then(
    () => true,
    () => false,
  );
}

async function answer(incoming: IncomingMessage, response: ServerResponse, routes: ControlRoutes): Promise<void> {
  const { url = '/' } = incoming;
  const route = Object.hasOwn(routes, url) ? routes[url] : undefined;
  // Read whatever becomes of it, so that the connection is good for the next request.
  const body = await bodyOf(incoming);
  if (route !== undefined && route.method !== incoming.method) response.setHeader('allow', route.method);
  const { status, body: said } = answerOf(route, incoming, body);
  const text = `${JSON.stringify(said)}\n`;
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) });
  response.end(text);
}

function answerOf(route: ControlRoute | undefined, { method, url }: IncomingMessage, body: Buffer | undefined) {
  if (route === undefined) return refusal(404, `no such path: ${url}`);
  if (method !== route.method) return refusal(405, `${url} takes ${route.method}`);
  if (body === undefined) return refusal(413, `a body has at most ${limits.controlRequestBytes} bytes`);
  const value = body.length === 0 ? {} : parsed(body);
  if (value === undefined) return refusal(400, 'the body must be a JSON object');
  const { members = [] } = route;
  const foreign = Object.keys(value).find((name) => !members.includes(name));
  if (foreign === undefined) return route.answer(value);
  const known = members.length === 0 ? 'none is known' : `known are ${members.join(', ')}`;
  return refusal(400, `unknown member ${JSON.stringify(foreign)}: ${known}`);
}

/** An answer that says what is wrong with a request. */
export function refusal(status: number, error: string): ControlAnswer {
  return { status, body: { error } };
}

function parsed(body: Buffer): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(body.toString('utf8'));
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    return isObject ? (value as Readonly<Record<string, unknown>>) : undefined;
  } catch {
    return undefined;
  }
}

/** Undefined when it is too large: it is read to its end then, so that who sends it hears why, but not for ever. */
async function bodyOf(incoming: IncomingMessage): Promise<Buffer | undefined> {
  let chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > limits.controlDiscardedBytes) throw new Error('too large');
    if (length > limits.controlRequestBytes) chunks = [];
    else chunks.push(chunk);
  }
  return length > limits.controlRequestBytes ? undefined : Buffer.concat(chunks);
}
