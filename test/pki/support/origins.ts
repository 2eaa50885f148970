import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, isIP, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { createSecureContext, createServer as createTlsServer, type TlsOptions } from 'node:tls';
import { onTestFinished } from 'vitest';
import { FlowFailure } from '../../../src/core/failures.ts';
import type { OriginException } from '../../../src/core/policy.ts';
import { openOriginLeg } from '../../../src/flow/origin-leg.ts';
import { OriginTrust } from '../../../src/pki/origin-trust.ts';
import { failureOfTlsError, type TlsFailure } from '../../../src/pki/tls-failure.ts';
import { originTlsOptions } from '../../../src/pki/tls-options.ts';
import { type LabCertificate, labDirectory } from './lab.ts';

/** What an origin shows: its certificate, and what it sends with it. */
export interface OriginCredential {
  readonly leaf: LabCertificate;
  readonly chain?: readonly LabCertificate[];
}

/** A TLS origin of Node on a free port, closed when the test ends. */
export function nodeOrigin({ leaf, chain = [] }: OriginCredential, options: TlsOptions = {}): Promise<number> {
  const cert = [leaf, ...chain].map(({ pem }) => pem).join('');
  const server = createTlsServer({ cert, key: leaf.keyPem, ...options }, (socket) => {
    socket.on('error', () => {});
    socket.end();
  });
  server.on('tlsClientError', () => {});
  return listening(server);
}

/** An origin that does with a raw connection what it is told. */
export function rawOrigin(serve: (socket: Socket) => void): Promise<number> {
  return listening(
    createServer((socket) => {
      socket.on('error', () => {});
      serve(socket);
    }),
  );
}

/** `openssl s_server` with options of its own, for what Node refuses to serve; it answers every request. */
export async function opensslOrigin(credential: OriginCredential, args: readonly string[]): Promise<number> {
  return (await opensslServer(credential, ['-quiet', '-www', ...args])).port;
}

export interface OpensslServer {
  readonly port: number;
  /** What it has printed. */
  readonly printed: () => string;
  /** Types a line at its keyboard: text for the client, or a command such as `R`. */
  readonly type: (line: string) => void;
}

/** `openssl s_server` at whose keyboard somebody sits. */
export async function opensslServer(
  { leaf, chain = [] }: OriginCredential,
  args: readonly string[],
): Promise<OpensslServer> {
  const directory = labDirectory();
  const certificate = join(directory, 'leaf.pem');
  const key = join(directory, 'leaf.key');
  const above = join(directory, 'chain.pem');
  writeFileSync(certificate, leaf.pem);
  writeFileSync(key, leaf.keyPem, { mode: 0o600 });
  writeFileSync(above, chain.map(({ pem }) => pem).join(''));
  const port = await freePort();
  const chainArgs = chain.length === 0 ? [] : ['-cert_chain', above];
  const fixed = ['s_server', '-accept', `127.0.0.1:${port}`, '-cert', certificate, '-key', key, ...chainArgs];
  const child = spawn('openssl', [...fixed, ...args], { stdio: ['pipe', 'pipe', 'pipe'], env: {} });
  const printed: string[] = [];
  for (const output of [child.stdout, child.stderr]) output.on('data', (text: Buffer) => printed.push(String(text)));
  child.stdin.on('error', () => {});
  onTestFinished(() => stop(child));
  await accepting(port, child);
  return { port, printed: () => printed.join(''), type: (line) => child.stdin.write(`${line}\n`) };
}

/** A TCP relay before an origin that flips one bit of what the origin sends. */
export function flippingRelay(originPort: number, at: number): Promise<number> {
  return rawOrigin((client) => {
    const origin = connect(originPort, '127.0.0.1');
    let seen = 0;
    origin.on('error', () => client.destroy());
    origin.on('data', (bytes: Buffer) => {
      if (seen <= at && at < seen + bytes.length) bytes[at - seen] = (bytes[at - seen] ?? 0) ^ 1;
      seen += bytes.length;
      client.write(bytes);
    });
    client.on('close', () => origin.destroy());
    client.pipe(origin);
  });
}

export interface Dial {
  readonly roots: readonly LabCertificate[];
  readonly name?: string;
  readonly exceptions?: OriginException['allow'];
}

/** Opens the origin leg as a flow does. Undefined when the origin was verified and the session stood. */
export async function dial(
  port: number,
  { roots, name = 'www.example.com', exceptions = [] }: Dial,
): Promise<TlsFailure | undefined> {
  const ca = roots.map(({ pem }) => pem);
  const transport = connect(port, '127.0.0.1');
  transport.on('error', () => {});
  try {
    await once(transport, 'connect');
    const { socket } = await openOriginLeg({
      transport,
      context: createSecureContext({ ...originTlsOptions({ minVersion: 'TLSv1.2', exceptions }), ca }),
      trust: new OriginTrust(ca),
      fetchIssuers: undefined,
      name,
      serverName: isIP(name) === 0 ? name : undefined,
      alpn: [],
      exception: { hosts: [], allow: exceptions, reason: '' },
      requestStaple: false,
      offersCertificate: false,
      timeoutMs: 10_000,
    });
    return await new Promise((resolve) => {
      socket.on('error', (error) => resolve(failureOfTlsError(error)));
      socket.on('data', () => {});
      // TLS 1.3 stands for the client before the origin has judged it: only the end tells.
      socket.on('end', () => resolve(undefined));
      socket.write('GET / HTTP/1.0\r\n\r\n');
    });
  } catch (error) {
    return error instanceof FlowFailure ? error : failureOfTlsError(error as NodeJS.ErrnoException);
  }
}

/** A port that nothing listens on. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Listens on a free port until the test ends. */
export async function listening(server: Server): Promise<number> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return (server.address() as AddressInfo).port;
}

async function accepting(port: number, child: ChildProcess): Promise<void> {
  let complaint = '';
  child.stderr?.on('data', (text) => {
    complaint += text;
  });
  for (let tries = 0; tries < 100; tries++) {
    if (child.exitCode !== null) throw new Error(`openssl s_server ended: ${complaint}`);
    const open = await new Promise<boolean>((resolve) => {
      const probe = connect(port, '127.0.0.1');
      probe.on('connect', () => probe.end(() => resolve(true)));
      probe.on('error', () => resolve(false));
    });
    if (open) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error('openssl s_server does not listen');
}

function stop(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null) return resolve();
    child.on('exit', () => resolve());
    child.kill('SIGKILL');
  });
}
