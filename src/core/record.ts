import type { Address, CaptureMode, CaptureVia, Destination } from './endpoint.ts';
import type { FailureCode } from './failures.ts';
import type { ExchangeOutcome, Header, RequestHead, ResponseHead } from './http.ts';
import type { MailEnvelope, MailOutcome } from './mail.ts';
import type { AssetKind } from './policy.ts';
import type { RevocationFinding } from './revocation.ts';
import type { ChangedMessage } from './rule-document.ts';
import type { Side } from './side.ts';
import type { ClientFingerprints, TlsLeg } from './tls.ts';
import type { TransferOutcome, TransferRequest } from './transfer.ts';
import type { Match, RuleRef } from './verdict.ts';
import type { MessageType } from './websocket.ts';

export type DecisionKind = 'intercept' | 'bypass' | 'refuse';
/** Decision on a flow with its reason, e.g. `default`, `asset web-1`, `bypass: privacy`. */
export interface Decision {
  readonly kind: DecisionKind;
  readonly reason: string;
}

/** What was found out about the revocation of an origin's chain: the finding that decided. */
export type RevocationOutcome = Pick<RevocationFinding, 'status' | 'source' | 'detail'>;

/** What is known of a flow: filled as it proceeds, read by the record builders. One object per flow. */
export interface FlowFacts {
  /** ULID; `metadata.correlation_uid` of every record of this flow. */
  readonly flowId: string;
  readonly startMs: number;
  readonly listenerId: string;
  readonly capture: CaptureMode;
  /** TCP where it is absent. */
  readonly transport?: 'udp';
  via: CaptureVia | undefined;
  client: Address;
  /** Whose share of what a relay has it takes: clients are told apart by it where one may not take all (codec/share-key). */
  shareKey: string;
  /** Address of the gateway that the client reached. */
  readonly gateway: Address;
  destination: Destination | undefined;
  /** Address of the origin that was dialled, and our own address on that leg. */
  origin: Address | undefined;
  originLocal: Address | undefined;
  asset: { readonly id: string; readonly kind: AssetKind } | undefined;
  policyVersion: string;
  decision: Decision | undefined;
  /** Protocol relayed: `http/1.1`, `opaque`, or a recognised one; undefined before recognition. */
  protocol: string | undefined;
  serverName: string | undefined;
  fingerprints: ClientFingerprints | undefined;
  clientTls: TlsLeg | undefined;
  originTls: TlsLeg | undefined;
  /** Names of per-host exceptions that weakened the origin leg. */
  originExceptions: readonly string[];
  /** Whether certificates of the origin are revoked; undefined when nobody was asked. */
  originRevocation?: RevocationOutcome;
  upstreamProxy: string | undefined;
  /** Application bytes. */
  bytesFromClient: number;
  bytesFromOrigin: number;
  transactions: number;
  alarms: number;
  failure: FailureCode | undefined;
  failureDetail: string;
  /** What transactions have counted as failures of their own; absent while there is none. */
  failuresTold?: ReadonlySet<FailureCode>;
  /** The failed origin check that policy left to the client's own judgement. */
  bypassedFailure?: { readonly code: FailureCode; readonly detail: string };
  /** Whether plaintext was restored from TLS by us: decides the label. */
  decrypted: boolean;
  /** Community ID of the client's leg as the client sees it, and of the origin's leg. */
  communityId?: string;
  originCommunityId?: string;
}

/** A file in a message. */
export interface FileFacts {
  /** As the message names it. */
  readonly name: string | undefined;
  /** Media type that its first bytes tell; undefined for text and the unknown. */
  readonly type: string | undefined;
  /** Media type that the message declares. */
  readonly declared: string | undefined;
  /** Bytes seen of it, without codings. */
  readonly size: number;
  /** Of all its bytes, lower-case hex; undefined when not all were seen. */
  readonly sha256: string | undefined;
  readonly isWhole: boolean;
  /** What it holds, where it is an archive that was looked into. */
  readonly archive?: ArchiveFacts | undefined;
}

/** What an archive holds, archives within it and all. */
export interface ArchiveFacts {
  /** Names of members, at most `limits.recordMembers`; all of them are counted. */
  readonly members: readonly string[];
  readonly count: number;
  /** Why rules may have seen less of it than a recipient: `encrypted`, `incomplete`. */
  readonly troubles: readonly string[];
}

/** What a content scanner said of a message. */
export interface ScanFacts {
  readonly scanner: string;
  readonly message: ChangedMessage;
  /** Of a mail: which part it was, counted from 1. */
  readonly part?: number | undefined;
  readonly outcome: 'clean' | 'blocked' | 'failed';
  /** What was found, or what failed. */
  readonly detail: string | undefined;
  readonly failure: FailureCode | undefined;
  readonly durationMs: number;
}

/** A response that came before the final one. */
export interface InterimFacts {
  readonly status: number;
  readonly headers: readonly Header[];
  /** It had headers, and they were too long to be kept. */
  readonly isCut: boolean;
}

/** A transaction as flow hands it to records at its end. */
export interface HttpTransactionFacts {
  readonly txId: string;
  readonly depth: number;
  readonly startMs: number;
  readonly endMs: number;
  readonly request: RequestHead;
  readonly response: ResponseHead | undefined;
  /** All three are absent where there was none of them. */
  readonly requestTrailers?: readonly Header[] | undefined;
  readonly responseTrailers?: readonly Header[] | undefined;
  readonly interims?: readonly InterimFacts[] | undefined;
  readonly outcome: ExchangeOutcome;
  readonly requestExcerpt: Buffer | undefined;
  readonly responseExcerpt: Buffer | undefined;
  /** Bytes made of a body by undoing its codings, when its excerpt shows those. */
  readonly requestDecodedBytes?: number | undefined;
  readonly responseDecodedBytes?: number | undefined;
  /** What was changed on its way, in words. */
  readonly changes?: readonly string[];
  /** Of which message more came than may wait for rules that asked for it. */
  readonly notHeld?: readonly string[];
  /** What content scanners said of it. */
  readonly scans?: readonly ScanFacts[] | undefined;
  readonly requestFiles?: readonly FileFacts[] | undefined;
  readonly responseFiles?: readonly FileFacts[] | undefined;
  /** Why a body was not inspected in full, e.g. `response content-encoding foo`; empty when it was. */
  readonly notInspected: readonly string[];
  readonly verdict: 'allow' | 'block' | 'reset';
  readonly rule: RuleRef | undefined;
  readonly matches: number;
  /** Matches that were recorded as alarms; all of them when absent. */
  readonly alarms?: number | undefined;
  /** Ids of the rules that matched, in the order of their first match. */
  readonly ruleIds?: readonly string[] | undefined;
  readonly upgradedTo: string | undefined;
}

/** A WebSocket message as its record tells of it. */
export interface MessageFacts {
  readonly timeMs: number;
  readonly from: Side;
  readonly type: MessageType;
  readonly isCompressed: boolean;
  /** False for one that was cut or refused. */
  readonly isComplete: boolean;
  /** Length of the content, inflated. */
  readonly bytes: number;
  readonly excerpt: Buffer | undefined;
}

/** Messages of one WebSocket within a few seconds, as flow hands them to records. */
export interface MessageGroupFacts {
  readonly groupId: string;
  /** Transaction that opened the WebSocket. */
  readonly txId: string;
  readonly startMs: number;
  readonly endMs: number;
  readonly request: RequestHead;
  /** The first of them, and those that made a rule true. */
  readonly messages: readonly MessageFacts[];
  /** All of them. */
  readonly counts: Readonly<
    Record<Side, { readonly messages: number; readonly bytes: number; readonly control: number }>
  >;
  readonly verdict: 'allow' | 'block' | 'reset';
  readonly rule: RuleRef | undefined;
  readonly ruleIds: readonly string[];
  readonly matches: number;
  readonly alarms: number;
  readonly failure: FailureCode | undefined;
  readonly detail: string;
}

/** A mail as flow hands it to records at its end. */
export interface MailFacts {
  readonly txId: string;
  readonly startMs: number;
  readonly endMs: number;
  readonly envelope: MailEnvelope;
  readonly headers: readonly Header[];
  /** Encoded words decoded; UTF-8, one character per byte. */
  readonly subject: string | undefined;
  /** Parts that are no multiparts, and those of them that are files. */
  readonly parts: number;
  readonly files: readonly FileFacts[];
  /** Why rules may have seen less than a recipient; empty when they saw all. */
  readonly notInspected: readonly string[];
  /** What was changed on its way, in words. */
  readonly changes: readonly string[];
  /** What content scanners said of its parts. */
  readonly scans: readonly ScanFacts[];
  readonly outcome: MailOutcome;
  readonly verdict: 'allow' | 'block' | 'reset';
  readonly rule: RuleRef | undefined;
  readonly ruleIds: readonly string[];
  readonly matches: number;
  readonly alarms: number;
}

/** An FTP transfer as flow hands it to records at its end. */
export interface TransferFacts {
  readonly txId: string;
  readonly startMs: number;
  readonly endMs: number;
  readonly request: TransferRequest;
  /** Bytes of data seen. */
  readonly bytes: number;
  /** Undefined for listings. */
  readonly file: FileFacts | undefined;
  readonly outcome: TransferOutcome;
  /** What content scanners said. */
  readonly scans?: readonly ScanFacts[];
  readonly verdict: 'allow' | 'block' | 'reset';
  readonly rule: RuleRef | undefined;
  readonly ruleIds: readonly string[];
  readonly matches: number;
  readonly alarms: number;
}

/** An alarm as flow hands it to records, before its verdict acts. */
export interface AlarmFacts {
  readonly timeMs: number;
  readonly match: Match;
  readonly txId: string | undefined;
  readonly request: RequestHead | undefined;
  /** The transaction is a mail. */
  readonly isMail?: boolean;
  /** The transaction is a group of WebSocket messages. */
  readonly isMessages?: boolean;
  /** The transaction is an FTP transfer by this command. */
  readonly transfer?: string;
}

/** Where flow puts what happened. Implemented by records/log.ts (writes) and by tests (collects). */
export interface Recorder {
  flowEnd(flow: FlowFacts, endMs: number): void;
  httpTransaction(flow: FlowFacts, transaction: HttpTransactionFacts): void;
  messages(flow: FlowFacts, group: MessageGroupFacts): void;
  mail(flow: FlowFacts, mail: MailFacts): void;
  transfer(flow: FlowFacts, transfer: TransferFacts): void;
  /** Returns once the alarm is on disk, or throws FlowFailure GATEWAY_RECORDS_UNWRITABLE when policy says to stop. */
  alarm(flow: FlowFacts, alarm: AlarmFacts): void;
}
