import type { X509Certificate } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { type ConnectionOptions, connect, type SecureContext, type TLSSocket } from 'node:tls';
import { FlowFailure } from '../core/failures.ts';
import { limits } from '../core/limits.ts';
import type { OriginException } from '../core/policy.ts';
import { strike } from '../core/simulation.ts';
import type { CertificateFacts, OriginIdentity, TlsLeg } from '../core/tls.ts';
import { ClearableTransport } from '../net/clearable-transport.ts';
import { WatchedTransport, watchEnd } from '../net/watched-transport.ts';
import { certificateFactsOf } from '../pki/certificate-facts.ts';
import type { OriginTrust } from '../pki/origin-trust.ts';
import { certificateRefusal, failureOfTlsError, type TlsFailure } from '../pki/tls-failure.ts';
import { type FetchIssuers, type Judgement, judgeOrigin, type OriginEvidence } from './judge-origin.ts';
import type { KeyLine } from './key-log.ts';

export interface OriginLegOptions {
  readonly transport: Duplex;
  readonly context: SecureContext;
  readonly trust: OriginTrust;
  /** Undefined where policy fetches nothing. */
  readonly fetchIssuers: FetchIssuers | undefined;
  /** Canonical host name or IP address that the certificate must cover. */
  readonly name: string;
  /** Server name to send; none for IP addresses (RFC 6066 section 3). */
  readonly serverName: string | undefined;
  readonly alpn: readonly string[];
  readonly exception: OriginException | undefined;
  readonly timeoutMs: number;
  /** The context holds a certificate for origins that ask for one. */
  readonly offersCertificate?: boolean;
  /** The origin ends bodies by ending the connection: a watched transport tells whether TLS was ended before. */
  readonly watchesEnd?: boolean;
  /** Asks for a stapled OCSP answer. */
  readonly requestStaple?: boolean;
  /** Takes the secrets of the session, where policy says so. */
  readonly onKeys?: KeyLine | undefined;
}

export interface OriginLeg {
  readonly socket: TLSSocket;
  readonly identity: OriginIdentity;
  readonly tls: TlsLeg;
}

/** A leg fresh from its check, with what only further checks need: connections live long, and there are many. */
export interface JudgedLeg extends OriginLeg {
  /** Certificates that prove the identity: leaf first, the trusted one last. */
  readonly path: readonly X509Certificate[];
  /** OCSP answer that came with the certificate, not yet judged. */
  readonly staple: Buffer | undefined;
  /** What the check was made of, for another one that knows more. */
  readonly evidence: OriginEvidence;
}

/** A failed origin check, with what is known of the certificate for the record and the page. */
export class OriginCheckFailure extends FlowFailure {
  leg: TlsLeg | undefined;
}

/**
 * Opens TLS to the origin and proves who it is, before any byte of the client is sent. OpenSSL verifies the chain and the
 * outcome is noted; judge-origin.ts decides. Rejects with OriginCheckFailure.
 */
export function openOriginLeg(options: OriginLegOptions): Promise<JudgedLeg> {
  const startMs = performance.now();
  const { transport } = options;
  if (transport.destroyed || transport.readableEnded) {
    return Promise.reject(new OriginCheckFailure('ORIGIN_GONE', 'before the TLS handshake'));
  }
  return new Promise((resolve, reject) => {
    let leg: TlsLeg | undefined;
    let staple: Buffer | undefined;
    const socket = connect(connectionOptions(options));
    if (options.onKeys !== undefined) socket.on('keylog', options.onKeys);
    if (transport instanceof ClearableTransport) transport.watch(socket);
    if (options.watchesEnd && transport instanceof WatchedTransport) watchEnd(socket, transport);
    socket.getPeerCertificate = noLegacyCertificate;
    const onStaple = (response: unknown): void => {
      if (Buffer.isBuffer(response) && response.length <= limits.ocspBytes) staple = response;
    };
    socket.once('OCSPResponse', onStaple);
    const settle = (): void => {
      clearTimeout(timer);
      // A listener that stayed would keep all that this check knows, certificates too, for as long as the connection lives.
      socket.off('secureConnect', onSecure).off('error', onError).off('close', onClose).off('OCSPResponse', onStaple);
      transport.off('end', onClose);
    };
    const fail = (cause: OriginCheckFailure): void => {
      settle();
      cause.leg = leg;
      socket.on('error', () => {});
      socket.destroy();
      reject(cause);
    };
    const onSecure = (): void => {
      judged().catch((error: unknown) => {
        fail(error instanceof OriginCheckFailure ? error : new OriginCheckFailure('GATEWAY_INTERNAL', String(error)));
      });
    };
    const judged = async (): Promise<void> => {
      // Asked for once: each asking makes new objects of the whole chain.
      const peer = socket.getPeerX509Certificate();
      const tls = legOf(socket, peer, startMs, options);
      leg = tls;
      const evidence = evidenceOf(options, socket, peer);
      const outcome = await identityOf(evidence);
      // While an issuer was fetched, the origin may have gone or its time have run out.
      if (socket.destroyed) return;
      if (outcome instanceof OriginCheckFailure) return fail(outcome);
      settle();
      resolve({ socket, identity: outcome.identity, path: outcome.path, tls, staple, evidence });
    };
    const onError = (error: NodeJS.ErrnoException): void => {
      const failure = failureOfTlsError(error);
      const demand = demandIn(socket, options);
      const refusal = demand === undefined ? undefined : certificateRefusal(failure, demand);
      fail(describedFailure(refusal ?? failure, leg?.certificate));
    };
    const onClose = (): void => fail(new OriginCheckFailure('ORIGIN_HANDSHAKE_FAILED', 'connection closed'));
    const timer = setTimeout(() => fail(new OriginCheckFailure('ORIGIN_HANDSHAKE_TIMEOUT')), options.timeoutMs);
    socket.on('secureConnect', onSecure).on('error', onError).on('close', onClose);
    // An end that was read before TLS took over never reaches it; reading nothing makes the stream tell of it.
    transport.on('end', onClose).read(0);
  });
}

/** Node builds the whole legacy certificate object for checkServerIdentity (0.16 ms); ours does not use it. */
const noLegacyCertificate = (() => ({})) as unknown as TLSSocket['getPeerCertificate'];

/**
 * Everything explicit: nothing of the environment or of Node's defaults decides. Node would end the session at OpenSSL's
 * first error; here the outcome is asked for before the session is handed to anybody.
 */
function connectionOptions(options: OriginLegOptions): ConnectionOptions {
  return {
    socket: options.transport,
    // Sessions are bound to it where no server name is sent.
    host: options.name,
    secureContext: options.context,
    rejectUnauthorized: false,
    checkServerIdentity: nothingWrong,
    requestOCSP: options.requestStaple ?? false,
    ...(options.serverName === undefined ? {} : { servername: options.serverName }),
    ...(options.alpn.length === 0 ? {} : { ALPNProtocols: [...options.alpn] }),
  };
}

const nothingWrong = (): undefined => undefined;

type Verified = Extract<Judgement, { kind: 'verified' }>;

/** Throws where the origin showed no certificate: then there is nobody to judge. */
function evidenceOf(options: OriginLegOptions, socket: TLSSocket, peer: X509Certificate | undefined): OriginEvidence {
  if (peer === undefined) throw new OriginCheckFailure('ORIGIN_CERT_INVALID', 'no certificate');
  return {
    peer,
    name: options.name,
    trust: options.trust,
    exceptions: options.exception?.allow ?? [],
    opensslError: verificationError(socket),
    verifiedByOpenssl: socket.authorized && !socket.isSessionReused(),
    fetchIssuers: options.fetchIssuers,
  };
}

async function identityOf(evidence: OriginEvidence): Promise<Verified | OriginCheckFailure> {
  strike('validation');
  const judgement = await judgeOrigin(evidence);
  return judgement.kind === 'verified' ? judgement : describedFailure(judgement, certificateFactsOf(evidence.peer));
}

/** What OpenSSL found wrong with the chain. A session that it did not judge counts as one with an error. */
function verificationError(socket: TLSSocket): NodeJS.ErrnoException | undefined {
  if (socket.authorized) return undefined;
  // Declared as an Error, but Node keeps the code alone. The text stays behind the handle; without it less is forgiven.
  const code: unknown = socket.authorizationError;
  const { _handle: handle } = socket as unknown as { _handle?: { verifyError?: () => Error | null } };
  const message = handle?.verifyError?.()?.message ?? '';
  return Object.assign(new Error(message), { code: typeof code === 'string' ? code : 'NOT_VERIFIED' });
}

/** A failure that is about the chain says which certificate it was. */
function describedFailure({ code, detail }: TlsFailure, certificate: CertificateFacts | undefined): OriginCheckFailure {
  const isUnreadable = certificate?.subject === '' && certificate.issuer === '';
  const isOfChain = code.startsWith('ORIGIN_CERT_') && code !== 'ORIGIN_CERT_NAME_MISMATCH';
  if (certificate === undefined || isUnreadable || !isOfChain) return new OriginCheckFailure(code, detail);
  const { subject, issuer, notBefore, notAfter } = certificate;
  const validity = `valid from ${day(notBefore)} to ${day(notAfter)}`;
  return new OriginCheckFailure(code, `${detail} (leaf ${subject}, issued by ${issuer}, ${validity})`);
}

/**
 * Whether the origin asked for a certificate. Node does not say so; but the algorithms that both sides can sign with are
 * known to a client only from a CertificateRequest (RFC 8446 section 4.3.2, RFC 5246 section 7.4.4).
 */
function demandIn(socket: TLSSocket, { offersCertificate }: OriginLegOptions): TlsLeg['clientCertificate'] {
  // Undefined once the session is gone, whatever the types say.
  const shared: readonly string[] | undefined = socket.getSharedSigalgs();
  if (shared === undefined || shared === null || shared.length === 0) return undefined;
  return offersCertificate ? 'offered' : 'asked';
}

function day(ms: number): string {
  return new Date(ms).toISOString().slice(0, 16).replace('T', ' ');
}

function legOf(
  socket: TLSSocket,
  peer: X509Certificate | undefined,
  startMs: number,
  options: OriginLegOptions,
): TlsLeg {
  const demand = demandIn(socket, options);
  return {
    version: socket.getProtocol() ?? '',
    cipher: socket.getCipher()?.name ?? '',
    group: groupOf(socket),
    alpn: typeof socket.alpnProtocol === 'string' ? socket.alpnProtocol : undefined,
    serverName: options.serverName,
    resumed: socket.isSessionReused(),
    handshakeMs: performance.now() - startMs,
    ...(demand === undefined ? {} : { clientCertificate: demand }),
    certificate: peer === undefined ? undefined : certificateFactsOf(peer),
  };
}

/** Node tells it of the legs alone on which it is the client. */
function groupOf(socket: TLSSocket): string | undefined {
  const { name } = (socket.getEphemeralKeyInfo() ?? {}) as { readonly name?: string };
  return name;
}
