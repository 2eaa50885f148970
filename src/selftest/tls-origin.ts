import { createDiffieHellmanGroup } from 'node:crypto';
import type { Socket } from 'node:net';
import { createServer, type SecureContextOptions, type TLSSocket, type TlsOptions } from 'node:tls';
import { integer, sequence, unsignedInteger } from '../pki/der-writer.ts';
import { pemOf } from '../pki/pem.ts';
import type { FarmCredentials } from './farm.ts';
import { type FarmOrigin, openOrigin } from './farm-origin.ts';

/** TLS of an origin, over defaults under which every bad certificate can be shown. */
export interface TlsOriginOptions {
  readonly minVersion?: NonNullable<SecureContextOptions['minVersion']>;
  readonly maxVersion?: NonNullable<SecureContextOptions['maxVersion']>;
  readonly ciphers?: string;
  readonly sigalgs?: string;
  readonly groups?: string;
  /** Group for finite-field Diffie-Hellman. */
  readonly dhGroup?: 'modp2' | 'modp14';
  /** Asks for a client certificate and goes on without one. */
  readonly asksCertificate?: boolean;
  /** DER of a stapled OCSP response. */
  readonly staple?: Buffer;
}

/** In the answer of every origin: a client that sees it has been served by the origin itself. */
export const originMark = 'daylight-selftest-origin';

const body = `${originMark}\n`;
const answer = `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`;

/** Starts an HTTPS origin that answers one request with its mark. */
export function openTlsOrigin(
  credentials: FarmCredentials | undefined,
  options: TlsOriginOptions = {},
): Promise<FarmOrigin> {
  const server = createServer(tlsOptions(credentials, options));
  let bytes = 0;
  server.on('secureConnection', (socket: TLSSocket) => {
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (chunk.includes('\r\n\r\n')) socket.end(answer);
    });
  });
  server.on('tlsClientError', (_error: Error, socket: Socket) => socket.destroy());
  const { staple } = options;
  if (staple !== undefined) {
    server.on('OCSPRequest', (_certificate: Buffer, _issuer: Buffer, done: (error: null, staple: Buffer) => void) =>
      done(null, staple),
    );
  }
  return openOrigin(server, () => bytes);
}

function tlsOptions(credentials: FarmCredentials | undefined, options: TlsOriginOptions): TlsOptions {
  const { minVersion, maxVersion, sigalgs, groups, dhGroup } = options;
  return {
    ...(credentials === undefined ? {} : pemCredentials(credentials)),
    ciphers: options.ciphers ?? 'DEFAULT:@SECLEVEL=0',
    minVersion: minVersion ?? 'TLSv1.2',
    maxVersion: maxVersion ?? 'TLSv1.3',
    ALPNProtocols: ['http/1.1'],
    handshakeTimeout: 10_000,
    ...(sigalgs === undefined ? {} : { sigalgs }),
    ...(groups === undefined ? {} : { ecdhCurve: groups }),
    ...(dhGroup === undefined ? {} : { dhparam: groupPem(dhGroup) }),
    ...(options.asksCertificate ? { requestCert: true, rejectUnauthorized: false } : {}),
  };
}

/** Certificate chain and key as Node takes them. */
export interface PemCredentials {
  readonly cert: string;
  readonly key: string;
}

/** Puts credentials into PEM. */
export function pemCredentials({ certificates, key }: FarmCredentials): PemCredentials {
  return {
    cert: certificates.map((certificate) => pemOf('CERTIFICATE', certificate)).join(''),
    key: key.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}

/** DHParameter (PKCS #3) of a group of RFC 2409 or RFC 3526; their generator is 2. */
function groupPem(name: 'modp2' | 'modp14'): string {
  const prime = createDiffieHellmanGroup(name).getPrime();
  return pemOf('DH PARAMETERS', sequence(unsignedInteger(prime), integer(2)));
}
