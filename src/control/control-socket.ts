import { once } from 'node:events';
import { chmod } from 'node:fs/promises';
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { limits } from '../core/limits.ts';
import { removeFile } from '../pki/private-files.ts';

/** What a command asks a running gateway: a path and, where something is to change, a JSON body. */
export interface ControlRequest {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly body: Readonly<Record<string, unknown>>;
}

export interface ControlAnswer {
  readonly status: number;
  readonly body: unknown;
}

/** Answers a request; undefined when the path is not its own. */
export type ControlHandler = (asked: ControlRequest) => ControlAnswer | undefined;

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
export async function serveControl(path: string, handle: ControlHandler): Promise<Server> {
  if (Buffer.byteLength(path) > longestPath) throw new Error(`${path} is too long for a socket`);
  // What a gateway left behind that was killed; one that lives is never pushed aside.
  if (await isAnswered(path)) throw new Error(`another gateway answers at ${path}`);
  await removeFile(path);
  const server = createServer({ maxHeaderSize: 8_192, requestTimeout: answerTimeoutMs }, (incoming, response) => {
    void answer(incoming, response, handle).catch(() => response.destroy());
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

async function answer(incoming: IncomingMessage, response: ServerResponse, handle: ControlHandler): Promise<void> {
  const { method, url = '/' } = incoming;
  const body = await bodyOf(incoming);
  const isKnown = method === 'GET' || method === 'POST';
  const { status, body: said } = (isKnown && handle({ method, path: url, body })) || {
    status: 404,
    body: { error: 'no such path' },
  };
  const text = `${JSON.stringify(said)}\n`;
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) });
  response.end(text);
}

/** A bounded JSON object; anything else is an empty one. */
async function bodyOf(incoming: IncomingMessage): Promise<ControlRequest['body']> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > limits.controlRequestBytes) throw new Error('too large');
    chunks.push(chunk);
  }
  if (length === 0) return {};
  const value: unknown = JSON.parse(Buffer.concat(chunks).toString('utf8'));
  return typeof value === 'object' && value !== null ? (value as ControlRequest['body']) : {};
}
