import { type FailureCode, FlowFailure } from '../core/failures.ts';

/** A failure of the origin leg, in words of the catalogue. */
export interface TlsFailure {
  readonly code: FailureCode;
  readonly detail: string;
}

/** Codes of Node and of OpenSSL's chain verification (X509_V_ERR_...). */
const byCode: ReadonlyMap<string, TlsFailure> = new Map(
  Object.entries({
    CERT_HAS_EXPIRED: failure('ORIGIN_CERT_EXPIRED', 'a certificate of the chain has expired'),
    CERT_NOT_YET_VALID: failure('ORIGIN_CERT_NOT_YET_VALID', 'a certificate of the chain is not yet valid'),
    DEPTH_ZERO_SELF_SIGNED_CERT: failure('ORIGIN_CERT_SELF_SIGNED', 'self-signed certificate'),
    SELF_SIGNED_CERT_IN_CHAIN: failure('ORIGIN_CERT_UNTRUSTED', 'the root that was sent is not trusted'),
    UNABLE_TO_GET_ISSUER_CERT: failure('ORIGIN_CERT_UNTRUSTED', 'the issuer of an intermediate is not known'),
    UNABLE_TO_GET_ISSUER_CERT_LOCALLY: failure('ORIGIN_CERT_UNTRUSTED', 'the issuer is not among the trusted roots'),
    UNABLE_TO_VERIFY_LEAF_SIGNATURE: failure(
      'ORIGIN_CERT_UNTRUSTED',
      'the issuer is not known: an intermediate may be missing',
    ),
    CERT_UNTRUSTED: failure('ORIGIN_CERT_UNTRUSTED', 'the root is not trusted for servers'),
    CERT_REJECTED: failure('ORIGIN_CERT_UNTRUSTED', 'the root is marked as rejected'),
    CERT_REVOKED: failure('ORIGIN_CERT_REVOKED', 'a certificate of the chain is revoked'),
    INVALID_PURPOSE: failure('ORIGIN_CERT_PURPOSE', 'a certificate of the chain is not for servers'),
    CERT_SIGNATURE_FAILURE: failure('ORIGIN_CERT_INVALID', 'a signature of the chain is wrong'),
    INVALID_CA: failure('ORIGIN_CERT_INVALID', 'an issuer is not a CA'),
    PATH_LENGTH_EXCEEDED: failure('ORIGIN_CERT_INVALID', 'more CAs than a path length allows'),
    CERT_CHAIN_TOO_LONG: failure('ORIGIN_CERT_INVALID', 'the chain is too long'),
    HOSTNAME_MISMATCH: failure('ORIGIN_CERT_NAME_MISMATCH', 'the certificate does not cover the name'),
    ERR_TLS_CERT_ALTNAME_INVALID: failure('ORIGIN_CERT_NAME_MISMATCH', 'the certificate does not cover the name'),
    EE_KEY_TOO_SMALL: failure('ORIGIN_CERT_WEAK', 'the key of the certificate is too small'),
    CA_KEY_TOO_SMALL: failure('ORIGIN_CERT_WEAK', 'the key of an issuer is too small'),
    CA_MD_TOO_WEAK: failure('ORIGIN_CERT_WEAK', 'a signature of the chain uses a weak hash'),
    ERR_TLS_DH_PARAM_SIZE: failure('ORIGIN_TLS_TOO_WEAK', 'Diffie-Hellman group too small'),
    ECONNREFUSED: failure('ORIGIN_REFUSED', 'connection refused'),
    ECONNRESET: failure('ORIGIN_GONE', 'the origin reset or closed the connection'),
    ECONNABORTED: failure('ORIGIN_GONE', 'the connection was aborted'),
    EPIPE: failure('ORIGIN_GONE', 'the origin closed the connection'),
    ETIMEDOUT: failure('ORIGIN_CONNECT_TIMEOUT', 'no answer'),
    EHOSTUNREACH: failure('ORIGIN_UNREACHABLE', 'no route to host'),
    ENETUNREACH: failure('ORIGIN_UNREACHABLE', 'network unreachable'),
    EHOSTDOWN: failure('ORIGIN_UNREACHABLE', 'host down'),
    ENOTFOUND: failure('ORIGIN_NAME_UNRESOLVED', 'name not found'),
    EAI_AGAIN: failure('ORIGIN_NAME_UNRESOLVED', 'the resolver does not answer'),
  }),
);

/** Texts of OpenSSL for the verification errors that Node gives no code of their own but `UNSPECIFIED`. */
const weakChain = /(?:key|digest algorithm|md) too weak/;

/** Other verification errors of OpenSSL, all of them breaches of RFC 5280. */
const brokenChain =
  /^(?:CERT_|ERROR_IN_CERT|UNABLE_TO_DECODE|UNABLE_TO_DECRYPT_CERT|INVALID_EXTENSION|INVALID_NON_CA|KEYUSAGE_|SUBJECT_ISSUER|AKID_|UNHANDLED_CRITICAL|PERMITTED_VIOLATION|EXCLUDED_VIOLATION|SUBTREE_MINMAX|UNSUPPORTED_(?:CONSTRAINT|NAME|EXTENSION)|UNNESTED|NO_EXPLICIT_POLICY|INVALID_POLICY|PATHLEN_|EC_KEY_EXPLICIT|APPLICATION_VERIFICATION)/;

/** Reasons of OpenSSL's TLS library, without `ERR_SSL_`, by what they mean for an origin. The first that fits decides. */
const byReason: readonly (readonly [RegExp, TlsFailure])[] = [
  [/ALERT_CERTIFICATE_REQUIRED/, failure('ORIGIN_CLIENT_CERT_REQUIRED', 'the origin demands a client certificate')],
  [
    /ALERT_PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL|UNKNOWN_PROTOCOL|WRONG_SSL_VERSION|VERSION_TOO_LOW/,
    weak('no TLS version in common'),
  ],
  [/ALERT_INSUFFICIENT_SECURITY/, weak('the origin wants stronger TLS than was offered')],
  [/DH_KEY_TOO_SMALL|DH_VALUE|BAD_DH/, weak('Diffie-Hellman group too small')],
  [/UNSAFE_LEGACY_RENEGOTIATION/, weak('no secure renegotiation (RFC 5746)')],
  [
    /NO_CIPHERS_AVAILABLE|WRONG_CIPHER_RETURNED|UNKNOWN_CIPHER_RETURNED|UNSUPPORTED_ELLIPTIC_CURVE|WRONG_CURVE|NO_SUITABLE_KEY_SHARE|BAD_KEY_SHARE|UNSUPPORTED_COMPRESSION/,
    weak('the origin chose what was not offered'),
  ],
  [
    /WRONG_SIGNATURE_TYPE|LEGACY_SIGALG|INTERNAL_ERROR$|WRONG_CERTIFICATE_TYPE|UNKNOWN_DIGEST/,
    weak('the origin signs with an algorithm that was not offered'),
  ],
  [
    /EE_KEY_TOO_SMALL|CA_KEY_TOO_SMALL|CA_MD_TOO_WEAK/,
    failure('ORIGIN_CERT_WEAK', 'a key or signature of the chain is too weak'),
  ],
  [
    /WRONG_VERSION_NUMBER|HTTP_REQUEST|HTTPS_PROXY_REQUEST|PACKET_LENGTH_TOO_LONG|RECORD_TOO_SMALL|BAD_RECORD_TYPE|RECORD_LAYER_FAILURE/,
    failure('ORIGIN_NOT_TLS', 'the answer is not TLS'),
  ],
  [
    /ALERT_HANDSHAKE_FAILURE/,
    failure(
      'ORIGIN_HANDSHAKE_FAILED',
      'alert handshake_failure: no suite in common, a name that the origin does not serve, or a client certificate is demanded',
    ),
  ],
  [
    /ALERT_UNRECOGNIZED_NAME|UNRECOGNIZED_NAME/,
    failure('ORIGIN_HANDSHAKE_FAILED', 'the origin does not serve the name'),
  ],
  [/NO_APPLICATION_PROTOCOL/, failure('ORIGIN_ALPN_REFUSED', 'no application protocol in common')],
  [
    /BAD_SIGNATURE|DECRYPT_ERROR|DIGEST_CHECK_FAILED|DECRYPTION_FAILED|BAD_RECORD_MAC/,
    failure('ORIGIN_HANDSHAKE_FAILED', 'a signature or checksum of the handshake is wrong'),
  ],
  [/UNEXPECTED_EOF/, failure('ORIGIN_GONE', 'the origin closed the connection')],
];

/**
 * Maps an error of the origin leg (of Node, of OpenSSL's chain verification, or of its TLS library) to the catalogue.
 * The detail holds reason codes alone: never the text of the peer.
 */
export function failureOfTlsError(error: NodeJS.ErrnoException): TlsFailure {
  if (error instanceof FlowFailure) return { code: error.code, detail: error.detail };
  const code = typeof error.code === 'string' ? error.code : '';
  const known = byCode.get(code);
  if (known !== undefined) return known;
  if (code === 'UNSPECIFIED') return failureOfText(error.message);
  if (code.startsWith('ERR_SSL_') || code.startsWith('ERR_OSSL_')) return failureOfReason(code);
  if (brokenChain.test(code)) return failure('ORIGIN_CERT_INVALID', code);
  return failure('ORIGIN_HANDSHAKE_FAILED', /^[A-Z0-9_]+$/.test(code) ? code : 'without a reason code');
}

/** Alerts of an origin that misses a certificate of its client, or does not like the one that it was shown. */
const certificateAlerts =
  /ALERT_(?:HANDSHAKE_FAILURE|CERTIFICATE_REQUIRED|NO_CERTIFICATE|BAD_CERTIFICATE|UNSUPPORTED_CERTIFICATE|CERTIFICATE_REVOKED|CERTIFICATE_EXPIRED|CERTIFICATE_UNKNOWN|UNKNOWN_CA|ACCESS_DENIED|DECRYPT_ERROR)/;

/** The failure of an origin that had asked for a certificate, if that is what its alert is about. */
export function certificateRefusal(
  failure: TlsFailure,
  clientCertificate: 'asked' | 'offered',
): TlsFailure | undefined {
  const alert = certificateAlerts.exec(failure.detail)?.[0];
  if (alert === undefined && failure.code !== 'ORIGIN_CLIENT_CERT_REQUIRED') return undefined;
  const isOffered = clientCertificate === 'offered';
  const detail = isOffered
    ? 'the origin refused the certificate configured for it'
    : 'the origin demands a certificate';
  return { code: 'ORIGIN_CLIENT_CERT_REQUIRED', detail: alert === undefined ? detail : `${detail} (${alert})` };
}

/** These texts are constants of OpenSSL; any other one is not repeated. */
function failureOfText(text: string): TlsFailure {
  if (weakChain.test(text)) return failure('ORIGIN_CERT_WEAK', text.slice(0, 80));
  return failure('ORIGIN_CERT_INVALID', /^[\w ,()'/-]{1,80}$/.test(text) ? text : 'the chain breaks a rule');
}

function failureOfReason(code: string): TlsFailure {
  const reason = code.replace(/^ERR_O?SSL_/, '');
  const found = byReason.find(([pattern]) => pattern.test(reason))?.[1];
  return found === undefined
    ? failure('ORIGIN_HANDSHAKE_FAILED', reason)
    : failure(found.code, `${found.detail} (${reason})`);
}

function failure(code: FailureCode, detail: string): TlsFailure {
  return { code, detail };
}

function weak(detail: string): TlsFailure {
  return failure('ORIGIN_TLS_TOO_WEAK', detail);
}
