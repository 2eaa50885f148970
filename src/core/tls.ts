import type { FailureCode } from './failures.ts';

/** What a ClientHello says (RFC 8446 section 4.1.2), GREASE values included, in wire order. */
export interface ClientHello {
  /** legacy_version of the body, e.g. 0x0303. */
  readonly legacyVersion: number;
  /** Offered versions, from supported_versions if present, else legacyVersion alone. */
  readonly versions: readonly number[];
  readonly cipherSuites: readonly number[];
  readonly extensions: readonly number[];
  /** Server name as sent, undecoded bytes as latin1; undefined when absent. */
  readonly serverName: string | undefined;
  readonly alpn: readonly string[];
  readonly groups: readonly number[];
  readonly pointFormats: readonly number[];
  readonly signatureAlgorithms: readonly number[];
  readonly hasEncryptedClientHello: boolean;
}

/** Fingerprints of a ClientHello. */
export interface ClientFingerprints {
  readonly ja3: string;
  readonly ja3Hash: string;
  readonly ja4: string;
}

/** Facts of a certificate for records, leafs and pages. */
export interface CertificateFacts {
  readonly subject: string;
  readonly issuer: string;
  readonly serialNumber: string;
  /** SHA-256 over the DER, lower-case hex without colons. */
  readonly fingerprint256: string;
  /** Milliseconds since the epoch. */
  readonly notBefore: number;
  readonly notAfter: number;
  readonly names: readonly SubjectName[];
  readonly selfSigned: boolean;
}

/** An entry of subjectAltName. IP addresses in canonical text form. */
export type SubjectName =
  | { readonly kind: 'dns'; readonly value: string }
  | { readonly kind: 'ip'; readonly value: string };

/** What was negotiated on one leg. */
export interface TlsLeg {
  /** e.g. `TLSv1.3`. */
  readonly version: string;
  readonly cipher: string;
  /** Named group of the key exchange, in OpenSSL's spelling; undefined where there was none, or it is not known. */
  readonly group?: string | undefined;
  readonly alpn: string | undefined;
  readonly serverName: string | undefined;
  readonly resumed: boolean;
  readonly handshakeMs: number;
  /** The origin asked for a certificate of its client, and whether it was offered one. */
  readonly clientCertificate?: 'asked' | 'offered';
  readonly certificate: CertificateFacts | undefined;
}

declare const verified: unique symbol;

/**
 * Who the origin is, proved. Only pki/validate.ts makes one, and nothing opens the client leg with a trusted
 * leaf without one: the brand makes a skipped check a type error.
 */
export interface OriginIdentity {
  readonly [verified]: true;
  /** The name or address that was verified. */
  readonly name: string;
  readonly certificate: CertificateFacts;
  /** Fingerprints of the path that was found, leaf first. */
  readonly chainFingerprints: readonly string[];
}

export type OriginVerification =
  | { readonly kind: 'verified'; readonly identity: OriginIdentity }
  | {
      readonly kind: 'failed';
      readonly code: FailureCode;
      /** Facts for the page and the record, e.g. `expired 2026-01-02`. */
      readonly detail: string;
      readonly certificate: CertificateFacts | undefined;
    };

/** Which key a leaf carries. */
export type LeafKeyType = 'ec' | 'rsa';
