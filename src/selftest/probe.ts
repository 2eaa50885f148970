import { connect, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import type { ListenAddress } from '../core/policy.ts';
import { farmAddress } from './farm.ts';
import { originMark } from './tls-origin.ts';

/** Where a client came from, and the origin that it asked for. */
export interface FlowPorts {
  readonly client: number;
  readonly origin: number;
}

/** What a client met at the gateway. */
export interface Experience {
  /** Ports by which its record is found: either alone may be another flow's at another time. */
  readonly ports: FlowPorts;
  readonly outcome:
    | { readonly kind: 'served' }
    /** The gateway's own page, behind a leaf or in place of the tunnel. */
    | { readonly kind: 'page'; readonly code: string }
    /** TLS ended with an alert or an error, or the connection did. */
    | { readonly kind: 'ended'; readonly error: string }
    /** The origin's own certificate: the gateway has not put itself between. */
    | { readonly kind: 'passed-through' }
    | { readonly kind: 'unclear'; readonly what: string };
  /** The certificate that was shown leads to the gateway's CA. */
  readonly trusted: boolean;
}

export interface ProbeOptions {
  readonly proxy: ListenAddress;
  /** The gateway's CA (PEM). */
  readonly ca: string;
  readonly host: string;
  readonly originPort: number;
  /** SHA-256 of the origin's own certificate, where it has one. */
  readonly originFingerprint: string | undefined;
  readonly timeoutMs: number;
}

/**
 * A client that wants to be served at any price: it goes on behind a certificate that it does not trust, so that whatever
 * the gateway lets through gets through. Never rejects.
 */
export function probe(options: ProbeOptions): Promise<Experience> {
  return new Promise((resolve) => {
    const { proxy, host } = options;
    const socket = connect({ port: proxy.port, host: proxy.ip, noDelay: true });
    let secure: TLSSocket | undefined;
    let trusted = false;
    let clientPort = 0;
    const settle = (outcome: Experience['outcome']): void => {
      clearTimeout(timer);
      secure?.destroy();
      socket.destroy();
      resolve({ ports: { client: clientPort, origin: options.originPort }, outcome, trusted });
    };
    const failed = (error: NodeJS.ErrnoException): void =>
      settle({ kind: 'ended', error: error.code ?? error.message });
    const timer = setTimeout(() => settle({ kind: 'unclear', what: 'no answer in time' }), options.timeoutMs);
    socket.on('error', failed);
    socket.once('connect', () => {
      clientPort = socket.localPort ?? 0;
      socket.write(`CONNECT ${farmAddress}:${options.originPort} HTTP/1.1\r\nHost: ${farmAddress}\r\n\r\n`);
    });
    socket.once('data', (answer: Buffer) => {
      if (!/^HTTP\/1\.1 200 /.test(answer.toString('latin1'))) return settle(outcomeOf(answer));
      secure = secured(socket, options).on('error', failed);
      secure.once('secureConnect', () => {
        const shown = secure?.getPeerX509Certificate()?.fingerprint256;
        if (shown !== undefined && shown === options.originFingerprint) return settle({ kind: 'passed-through' });
        trusted = secure?.authorized ?? false;
        secure?.write(`GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
      });
      readAll(secure, (bytes) => settle(outcomeOf(bytes)));
    });
  });
}

function secured(socket: Socket, { host, ca }: ProbeOptions): TLSSocket {
  return connectTls({
    socket,
    ca,
    rejectUnauthorized: false,
    ALPNProtocols: ['http/1.1'],
    ...(host === farmAddress ? { host } : { servername: host }),
  });
}

/** Most that is read of an answer: pages are far shorter. */
const longestAnswer = 65_536;

function readAll(socket: TLSSocket, done: (bytes: Buffer) => void): void {
  const chunks: Buffer[] = [];
  let length = 0;
  const finish = (): void => done(Buffer.concat(chunks));
  socket.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    length += chunk.length;
    if (length > longestAnswer) finish();
  });
  socket.on('end', finish).on('close', finish);
}

function outcomeOf(answer: Buffer): Experience['outcome'] {
  const text = answer.toString('latin1');
  if (text.includes(originMark)) return { kind: 'served' };
  const code = /^Daylight-Failure: (\w+)/im.exec(text)?.[1];
  if (code !== undefined) return { kind: 'page', code };
  if (text === '') return { kind: 'ended', error: 'closed without an answer' };
  return { kind: 'unclear', what: text.slice(0, 60).split('\r\n')[0] ?? '' };
}
