import type { FailureCode } from './failures.ts';
import type { LeafRejection, LearnedBypass } from './learned-bypass.ts';
import type { PolicyDocument } from './policy.ts';
import type { IssuedPair, RevocationFinding } from './revocation.ts';
import type { Fault } from './simulation.ts';
import type { CertificateFacts, LeafKeyType, SubjectName } from './tls.ts';

/** What control needs to know to issue a leaf. */
export interface LeafRequest {
  /** SubjectPublicKeyInfo (DER) of the relay's leaf key. */
  readonly publicKey: Uint8Array;
  readonly keyType: LeafKeyType;
  /** Names mirrored from the verified origin certificate. */
  readonly names: readonly SubjectName[];
  /** The name that was verified. */
  readonly name: string;
  /** Validity of the origin certificate, milliseconds since the epoch: a leaf never outlives it. */
  readonly originNotAfter: number;
  /** SHA-256 of the origin certificate: linkage in the issuance log. */
  readonly originFingerprint: string;
  /** True for a leaf of the deliberately untrusted authority, which carries a failure page. */
  readonly untrusted: boolean;
}
export interface IssuedLeaf {
  /** PEM: leaf first, then intermediates up to but not including the root. */
  readonly chainPem: string;
  /** What records and flows tell of it. Without names, they are those that were asked for. */
  readonly facts: Omit<CertificateFacts, 'names'> & { readonly names?: readonly SubjectName[] };
}

/** A data connection that one relay waits for and any relay may get. */
export interface ExpectedData {
  readonly clientIp: string;
  /** The flow of the session that waits. */
  readonly session: string;
  /** The destination as the client may name it. */
  readonly hosts: readonly string[];
  readonly port: number;
  /** A proxy leads to it, by whatever name. */
  readonly isProxied: boolean;
  /** Shown to the relay that waits by the one that hands the connection over. */
  readonly token: string;
  /** Port of the loopback where it waits. */
  readonly handOverPort: number;
}

/** Counter increments since the last report, keyed `name{label="value"}`. */
export type MetricDeltas = Readonly<Record<string, number>>;

/** A relay that ended without being asked to. */
export interface RelayCrash {
  readonly reason: string;
  /** `metadata.log_source` of its records. */
  readonly logSource: string;
  /** As of its last report. */
  readonly openFlows: number;
}

export type ToRelay =
  | {
      readonly kind: 'start';
      /** Which of the sockets of each listener is this relay's. */
      readonly slot: number;
      /** Which record files are this relay's: no two running relays share one, even while one replaces the other. */
      readonly writer: number;
      readonly policy: PolicyDocument;
      /** Listener id -> inherited descriptor of its listening socket. */
      readonly descriptors: Readonly<Record<string, number>>;
      /** 48 bytes shared by all relays so that a client's session resumes on any of them. */
      readonly ticketKeys: Uint8Array;
      readonly learned: readonly LearnedBypass[];
      /** Faults that it is to simulate; none but in tests. */
      readonly simulate: readonly Fault[];
      /** Data connections that other relays wait for. */
      readonly expected: readonly ExpectedData[];
    }
  /** Another has crashed: the records of this one say so. Answered by `crash-recorded`. */
  | { readonly kind: 'relay-crashed'; readonly crash: RelayCrash }
  /** First of two phases: every relay compiles, and only when all could does any use it. */
  | { readonly kind: 'prepare-policy'; readonly policy: PolicyDocument }
  | { readonly kind: 'use-policy'; readonly version: string }
  | { readonly kind: 'ticket-keys'; readonly ticketKeys: Uint8Array }
  /** All learned bypasses in force, whenever they change. */
  | { readonly kind: 'learned-bypasses'; readonly learned: readonly LearnedBypass[] }
  | { readonly kind: 'leaf'; readonly id: number; readonly leaf: IssuedLeaf }
  | { readonly kind: 'leaf-failed'; readonly id: number; readonly detail: string }
  | { readonly kind: 'issuers'; readonly id: number; readonly certificates: readonly Uint8Array[] }
  | { readonly kind: 'revocation'; readonly id: number; readonly findings: readonly RevocationFinding[] }
  /** Another relay waits for a connection; answered by `data-noted`. */
  | { readonly kind: 'note-data'; readonly id: number; readonly expected: ExpectedData }
  | { readonly kind: 'forget-data'; readonly token: string }
  /** Whether all relays know of what this one waits for. */
  | { readonly kind: 'data-expected'; readonly id: number; readonly isKnown: boolean }
  /** The relay stops accepting, lets its flows end within `timeoutMs`, then exits. */
  | { readonly kind: 'drain'; readonly timeoutMs: number };

export type FromRelay =
  /** It accepts; its records are told by their source. */
  | { readonly kind: 'ready'; readonly logSource: string }
  /** The line about a crashed relay, named by the source of its records, is in the file. */
  | { readonly kind: 'crash-recorded'; readonly logSource: string }
  | { readonly kind: 'policy-prepared'; readonly version: string }
  | { readonly kind: 'policy-rejected'; readonly version: string; readonly detail: string }
  | { readonly kind: 'leaf-request'; readonly id: number; readonly request: LeafRequest }
  | { readonly kind: 'leaf-rejected'; readonly rejection: LeafRejection }
  /** For certificates of issuers that an origin did not send, in the share of a client. */
  | {
      readonly kind: 'issuer-request';
      readonly id: number;
      readonly addresses: readonly string[];
      readonly client: string;
    }
  | {
      readonly kind: 'revocation-request';
      readonly id: number;
      readonly pairs: readonly IssuedPair[];
      readonly client: string;
    }
  | { readonly kind: 'expect-data'; readonly id: number; readonly expected: ExpectedData }
  | { readonly kind: 'data-noted'; readonly id: number; readonly isKnown: boolean }
  | { readonly kind: 'forget-data'; readonly token: string }
  | { readonly kind: 'metrics'; readonly counters: MetricDeltas; readonly gauges: Readonly<Record<string, number>> }
  /** Something an operator should know; control logs it. Without a code it is as policy says. */
  | { readonly kind: 'problem'; readonly code: FailureCode | undefined; readonly message: string }
  | { readonly kind: 'drained' };
