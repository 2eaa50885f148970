import type { BodiesPolicy } from './bodies-policy.ts';
import type { FilesPolicy } from './files-policy.ts';
import type { RevocationMode } from './revocation.ts';
import type { RuleDocument } from './rule-document.ts';
import type { ScannerPolicy } from './scanner.ts';
import type { LeafKeyType } from './tls.ts';

/**
 * The policy document: what `config` makes of the configuration file and control hands to relays. Plain JSON values,
 * defaults filled in, host patterns canonical. A relay compiles it once into its immutable policy snapshot.
 */
export interface PolicyDocument {
  /** Changes with every successful load; part of every record. */
  readonly version: string;
  /** The authority that leafs are issued by: cached leafs die with it, and its key type must suit the client. */
  readonly authority: { readonly fingerprint: string; readonly keyType: LeafKeyType };
  readonly listeners: readonly ListenerPolicy[];
  readonly assets: readonly AssetPolicy[];
  readonly defaults: { readonly detect: boolean };
  readonly bypass: readonly BypassPolicy[];
  /** Destinations that are refused before anything is dialled. */
  readonly refuse: readonly RefusePolicy[];
  readonly tls: TlsPolicy;
  readonly originTrust: OriginTrustPolicy;
  readonly revocation: RevocationPolicy;
  readonly originClientCertificates: OriginClientCertificatesPolicy;
  readonly originExceptions: readonly OriginException[];
  readonly originFailures: readonly OriginFailurePolicy[];
  readonly learnedBypass: LearnedBypassPolicy;
  readonly upstream: UpstreamPolicy | undefined;
  readonly http: HttpPolicy;
  readonly mail: MailPolicy;
  readonly files: FilesPolicy;
  /** Flows that are neither TLS nor HTTP: relayed unread with a record, or refused. */
  readonly opaque: 'allow' | 'refuse';
  readonly rules: readonly RuleDocument[];
  readonly records: RecordsPolicy;
  readonly scanners: readonly ScannerPolicy[];
  readonly export: ExportPolicy;
  readonly keyLog: KeyLogPolicy;
  readonly timeouts: TimeoutsPolicy;
  /** Admin address, refused as a destination. `host:port`, or undefined when off. */
  readonly admin: { readonly listen: ListenAddress } | undefined;
}

export interface ListenAddress {
  /** IP address; `0.0.0.0` and `::` mean all. */
  readonly ip: string;
  readonly port: number;
}

export type ListenerPolicy = ExplicitListener | TransparentListener | ReverseListener;

interface ListenerCommon {
  /** `mode:ip:port`, the name of the listener in records and metrics. */
  readonly id: string;
  readonly listen: ListenAddress;
  readonly proxyProtocol: 'off' | 'accept' | 'require';
  /** CIDRs whose PROXY protocol header is believed. */
  readonly trustedProxies: readonly string[];
}
export interface ExplicitListener extends ListenerCommon {
  readonly mode: 'explicit';
  /** User name and password (SHA-256 hex of the password) demanded of clients. */
  readonly credentials: readonly { readonly user: string; readonly passwordSha256: string }[];
}
export interface TransparentListener extends ListenerCommon {
  readonly mode: 'transparent';
  readonly capture: 'redirect' | 'tproxy';
  /** Connect to the origin from the client's own address. Only with tproxy. */
  readonly spoofClient: boolean;
}
export interface ReverseListener extends ListenerCommon {
  readonly mode: 'reverse';
  readonly origin: { readonly host: string; readonly port: number };
  /** Speak TLS to the origin, plain TCP, or whatever the client spoke. */
  readonly originTls: 'as-client' | 'always' | 'never';
  /** Name to verify the origin by when the client names none, or always with a certificate of its own; else the origin's host. */
  readonly originName: string | undefined;
  readonly asset: string | undefined;
  /** The asset's own certificate chain and key (PEM file paths), served instead of a leaf. */
  readonly certificate: { readonly certFile: string; readonly keyFile: string } | undefined;
  readonly sendProxyProtocol: 'off' | 'v1' | 'v2';
}

export type AssetKind = 'cvm' | 'container' | 'gaap';
export interface AssetPolicy {
  readonly id: string;
  readonly kind: AssetKind;
  readonly detect: boolean;
  /** What becomes of its flows whose origin fails the check, where it differs from the default. */
  readonly onOriginFailure?: OriginFailureAction | undefined;
  /** CIDRs of clients (cvm, container) that are this asset. */
  readonly addresses: readonly string[];
  /** What becomes of its QUIC; refused where it is absent. */
  readonly quic?: 'refuse' | 'allow';
  /** Host patterns of origins (gaap) that are this asset. */
  readonly hosts: readonly string[];
}

export interface BypassPolicy {
  readonly hosts: readonly string[];
  readonly addresses: readonly string[];
  readonly assets: readonly string[];
  readonly reason: string;
}
export interface RefusePolicy {
  readonly hosts: readonly string[];
  readonly addresses: readonly string[];
  readonly ports: readonly number[];
  readonly reason: string;
}

/** Key exchanges of the client leg. `ecdhe` covers X25519MLKEM768 and TLS 1.3. */
export type KeyExchange = 'ecdhe' | 'dhe' | 'rsa';
export type TlsVersion = 'TLSv1.2' | 'TLSv1.3';
export interface TlsPolicy {
  readonly client: { readonly minVersion: TlsVersion; readonly keyExchange: readonly KeyExchange[] };
  readonly origin: { readonly minVersion: TlsVersion };
  /** A ClientHello without a server name is refused where it would be intercepted. */
  readonly requireServerName: boolean;
  readonly onOriginFailure: OriginFailureAction;
}
/** `bypass`: the client judges the real certificate itself. */
export type OriginFailureAction = 'close' | 'warn' | 'bypass';
/** What becomes of flows to some hosts when their origin fails the check; stronger than what the asset says. */
export interface OriginFailurePolicy {
  readonly hosts: readonly string[];
  readonly action: OriginFailureAction;
  readonly reason: string;
}
/** What becomes of hosts whose leaf a client rejects again and again. */
export interface LearnedBypassPolicy {
  /** `bypass` at once; `ask` an operator first; `refuse`: evidence is kept, and nothing passes. */
  readonly action: 'bypass' | 'ask' | 'refuse';
  /** So many rejections within `withinMs` are evidence. */
  readonly rejections: number;
  readonly withinMs: number;
  readonly forMs: number;
  /** Who shares what was learned: one client address, or all of an asset. */
  readonly group: 'client' | 'asset';
  /** Hosts that are never learned. */
  readonly never: readonly string[];
}
export interface OriginTrustPolicy {
  /** PEM of every trusted root: the system's (when asked for) and the files', read by control. */
  readonly rootsPem: readonly string[];
  /** PEM of the gateway's own authorities: what they issued is no origin. */
  readonly ownPem?: readonly string[];
  /** Fetch intermediates that an origin does not send, from where its certificate says. */
  readonly fetchIntermediates?: boolean;
}
/** Whether certificates of origins are checked for revocation. */
export interface RevocationPolicy {
  readonly mode: RevocationMode;
  /** Longest that a flow waits. */
  readonly timeoutMs: number;
  /** Absolute path of the cache. */
  readonly directory: string;
  /** CIDRs that may be asked although they are not public. */
  readonly allowAddresses: readonly string[];
  readonly overrides: readonly {
    readonly hosts: readonly string[];
    readonly assets: readonly string[];
    readonly mode: RevocationMode;
  }[];
}
/** Origins that ask their clients for a certificate. */
export interface OriginClientCertificatesPolicy {
  readonly onDemand: 'refuse' | 'bypass';
  /** How long an origin that asked is passed by unread. */
  readonly bypassMs: number;
  readonly certificates: readonly OriginClientCertificate[];
}
export interface OriginClientCertificate {
  /** Where both are given both must fit. */
  readonly hosts: readonly string[];
  readonly assets: readonly string[];
  /** Absolute paths of PEM files. */
  readonly certFile: string;
  readonly keyFile: string;
}
/** A named, recorded weakening for old origins. */
export interface OriginException {
  readonly hosts: readonly string[];
  /** `missing-eku`: a certificate without extended key usage passes as a server's; `suffix-wildcard`: one over a public suffix. */
  readonly allow: readonly (
    | 'tls1.0'
    | 'tls1.1'
    | 'rsa-key-exchange'
    | 'dhe-key-exchange'
    | 'untrusted'
    | 'missing-eku'
    | 'missing-close-notify'
    | 'suffix-wildcard'
  )[];
  readonly reason: string;
}
export interface UpstreamPolicy {
  readonly proxy: ListenAddressOrHost;
  readonly credentials: { readonly user: string; readonly password: string } | undefined;
  /** Hosts that are dialled directly. */
  readonly except: readonly string[];
}
export interface ListenAddressOrHost {
  readonly host: string;
  readonly port: number;
}
export interface HttpPolicy {
  /** HTTP/2, where client and origin both speak it; without it they are offered HTTP/1.1 alone. */
  readonly h2: boolean;
  /** A Host that the verified origin certificate does not cover. */
  readonly hostMismatch: 'refuse' | 'allow';
  /** 101 Switching Protocols inside an inspected flow. `websocket`: only what is inspected, which is WebSocket. */
  readonly upgrades: 'allow' | 'websocket' | 'refuse';
  readonly bodies: BodiesPolicy;
  readonly hold: HoldPolicy;
  /** Fields that are removed and set in every head. */
  readonly headers: { readonly request: HeaderPolicy; readonly response: HeaderPolicy };
  /** Whether origins may lead clients to HTTP/3, which is not inspected. */
  readonly altSvc: 'strip' | 'keep';
}
/** How much of a body waits for rules that ask for it. */
export interface HoldPolicy {
  readonly startBytes: number;
  readonly bodyBytes: number;
}
export interface HeaderPolicy {
  /** Names in lower case. */
  readonly remove: readonly string[];
  readonly set: readonly (readonly [name: string, value: string])[];
}
export interface MailPolicy {
  /** Mail passes over TLS only, whatever the origin offers. */
  readonly requireTls: boolean;
  /** XCLIENT and XFORWARD pass: a mail server in front may speak for its clients. */
  readonly xclient: boolean;
  /** Bytes of a mail that wait in memory for its verdict where rules look at mails. */
  readonly holdBytes: number;
  readonly spool: SpoolPolicy;
  /** Fields that are changed in the head of every mail. */
  readonly headers: HeaderPolicy;
}
/** Where longer mails wait for their verdict. */
export interface SpoolPolicy {
  readonly directory: string;
  /** Of one mail; a longer one passes as it is judged. 0: nothing waits on disk. */
  readonly mailBytes: number;
  /** Of all mails of a relay. */
  readonly totalBytes: number;
}
export interface RecordsPolicy {
  readonly directory: string;
  readonly rotateBytes: number;
  readonly rotateSeconds: number;
  /** Rotated files kept per log and relay; 0 keeps all. */
  readonly keep: number;
  readonly bodyExcerptBytes: number;
  readonly onFailure: 'continue' | 'stop';
  /** `sync`: an alarm is flushed to the device (fdatasync) before its verdict acts; `write`: handed to the kernel. */
  readonly alarmDurability: 'write' | 'sync';
}
/** Decrypted traffic for other tools. */
export interface ExportPolicy {
  readonly pcapng: PacketFilesPolicy | undefined;
  /** Address of the first relay's stream; each further relay uses the next port. */
  readonly pcapOverIp: ListenAddress | undefined;
}
export interface PacketFilesPolicy {
  readonly directory: string;
  readonly rotateBytes: number;
  readonly rotateSeconds: number;
  /** Files kept per relay; 0 keeps all. */
  readonly keep: number;
}
/** Files that the secrets of TLS sessions are written to, per leg. */
export interface KeyLogPolicy {
  readonly client: string | undefined;
  readonly origin: string | undefined;
}
export interface TimeoutsPolicy {
  readonly openingMs: number;
  readonly connectMs: number;
  readonly handshakeMs: number;
  readonly idleMs: number;
  readonly drainMs: number;
  readonly handoverMs: number;
}
