import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { createSecureContext, type SecureContext, type TLSSocket, connect as tlsConnect } from 'node:tls';
import type { LoadJob, LoadReport, SeenTls } from '../load-job.ts';
import { loadStreams } from './http2-load.ts';
import { ResponseReader } from './response-reader.ts';

/** Load generator, a process of its own: takes one job over IPC, reports the start and the end of the measurement. */
process.once('message', (job: LoadJob) => {
  run(job).catch(giveUp);
});
process.once('disconnect', () => process.exit());

const mostErrors = 20;

interface Tally {
  operations: number;
  sharedOrigin: number;
  stopping: boolean;
  tls: SeenTls;
  readonly errors: string[];
}

async function run(job: LoadJob): Promise<void> {
  // The one group that every system knows (SSLsplit 0.5.5 has no X25519), so that all do the same key exchange.
  const context = createSecureContext({ ca: readFileSync(job.caFile), ecdhCurve: 'P-256' });
  const tally: Tally = { operations: 0, sharedOrigin: 0, stopping: false, tls: { client: '', origin: '' }, errors: [] };
  const worker = workerOf[job.workload];
  const workers = Array.from({ length: job.connections }, () => persist(worker, job, context, tally).catch(giveUp));
  await pause(job.warmUpMs);
  tally.operations = 0;
  tally.sharedOrigin = 0;
  const start = performance.now();
  report({ kind: 'measuring' });
  await pause(job.measureMs);
  const { operations, sharedOrigin, errors, tls } = tally;
  report({ kind: 'measured', operations, elapsedMs: performance.now() - start, tls, sharedOrigin, errors });
  // The load goes on while the parent reads the clocks of the proxy.
  await pause(100);
  tally.stopping = true;
  await Promise.race([Promise.all(workers), pause(500)]);
  process.exit();
}

type Worker = (job: LoadJob, context: SecureContext, tally: Tally) => Promise<void>;

const workerOf: Readonly<Record<LoadJob['workload'], Worker>> = {
  'keep-alive': keepAlive,
  'new-session': openAnew,
  'large-body': keepAlive,
  'h2-streams': multiplex,
  html: keepAlive,
  'html-gzip': keepAlive,
};

function giveUp(error: unknown): void {
  process.send?.({ kind: 'failed', reason: String(error) } satisfies LoadReport, () => process.exit(1));
}

/** Runs a worker again after an error, until there are too many. */
async function persist(worker: Worker, job: LoadJob, context: SecureContext, tally: Tally): Promise<void> {
  while (!tally.stopping) {
    try {
      await worker(job, context, tally);
    } catch (error) {
      tally.errors.push(String(error));
      if (tally.errors.length > mostErrors) throw error;
      await pause(20);
    }
  }
}

/** One connection, one request after the other. */
async function keepAlive(job: LoadJob, context: SecureContext, tally: Tally): Promise<void> {
  const socket = await open(job, context);
  const request = requestFor(job, 'keep-alive');
  await new Promise<void>((resolve, reject) => {
    const reader = new ResponseReader(job.bodyBytes, () => {
      if (tally.operations++ === 0) tally.tls = seenTls(socket, reader.head);
      if (tally.stopping) resolve();
      else socket.write(request);
    });
    readInto(socket, reader, reject);
    socket.write(request);
  });
  await close(socket);
}

/** One connection with many requests at once. */
async function multiplex(job: LoadJob, context: SecureContext, tally: Tally): Promise<void> {
  const socket = await open(job, context, 'h2');
  if (socket.alpnProtocol !== 'h2') throw new Error('no HTTP/2');
  await loadStreams(socket, job, (origin) => {
    if (tally.operations++ === 0) tally.tls = seenTls(socket, `\r\nx-origin-connection: ${origin}\r`);
    return !tally.stopping;
  });
}

/** A connection, TLS session and request each time. */
async function openAnew(job: LoadJob, context: SecureContext, tally: Tally): Promise<void> {
  const socket = await open(job, context);
  let head = '';
  await new Promise<void>((resolve, reject) => {
    const reader = new ResponseReader(job.bodyBytes, () => {
      head = reader.head;
      resolve();
    });
    readInto(socket, reader, reject);
    socket.write(requestFor(job, 'close'));
  });
  if (tally.operations++ === 0) tally.tls = seenTls(socket, head);
  if (!originConnection(head).startsWith('1 ')) tally.sharedOrigin++;
  await close(socket);
}

async function open(job: LoadJob, context: SecureContext, alpn = 'http/1.1'): Promise<TLSSocket> {
  const transport = connect({ host: job.ip, port: job.port, noDelay: true });
  await once(transport, 'connect');
  if (job.tunnelTo !== undefined) await tunnel(transport, job.tunnelTo);
  const secured = tlsConnect({
    socket: transport,
    servername: job.host,
    secureContext: context,
    ALPNProtocols: [alpn],
  });
  await once(secured, 'secureConnect');
  return secured;
}

async function tunnel(transport: Socket, target: string): Promise<void> {
  transport.write(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`);
  let answer = '';
  while (!answer.includes('\r\n\r\n')) {
    const [bytes] = (await once(transport, 'data')) as [Buffer];
    answer += bytes.toString('latin1');
  }
  transport.pause();
  if (!/^HTTP\/1\.[01] 200/.test(answer)) throw new Error(`CONNECT: ${answer.split('\r\n')[0]}`);
}

function readInto(socket: TLSSocket, reader: ResponseReader, reject: (error: Error) => void): void {
  socket.on('data', (bytes: Buffer) => {
    try {
      reader.receive(bytes);
    } catch (error) {
      socket.destroy();
      reject(error as Error);
    }
  });
  socket.on('error', reject);
  socket.on('close', () => reject(new Error('connection closed before its time')));
}

/** Ends our half and waits for the proxy to end the other, so that neither side sees a reset. */
async function close(socket: TLSSocket): Promise<void> {
  if (socket.closed) return;
  const late = setTimeout(() => socket.destroy(), 1_000);
  socket.end();
  await new Promise((resolve) => socket.once('close', resolve));
  clearTimeout(late);
}

function requestFor(job: LoadJob, connection: 'keep-alive' | 'close'): string {
  return (
    `GET ${job.path} HTTP/1.1\r\nHost: ${job.authority}\r\nUser-Agent: bench/1.0\r\n` +
    `Accept: */*\r\nConnection: ${connection}\r\n\r\n`
  );
}

function seenTls(socket: TLSSocket, head: string): SeenTls {
  const leaf = socket.getPeerX509Certificate()?.publicKey.asymmetricKeyType ?? '?';
  const origin = originConnection(head).split(' ');
  return {
    client: `${socket.getProtocol()} ${socket.getCipher().name}, leaf ${leaf}`,
    origin: `${origin[1]} ${origin[2]}${origin[3] === 'r' ? ', resumed' : ''}`,
  };
}

function originConnection(head: string): string {
  return /\r\nx-origin-connection: *([^\r]*)/i.exec(head)?.[1] ?? '';
}

function report(message: LoadReport): void {
  process.send?.(message);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
