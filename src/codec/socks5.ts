import type { Address, Destination } from '../core/endpoint.ts';
import type { FailureCode } from '../core/failures.ts';
import { canonicalHost } from './host.ts';
import { formatIp, parseIp } from './ip-address.ts';

/** What a SOCKS5 negotiation came to. */
export type Socks5Outcome =
  /** The caller dials, then sends `socks5ReplyFor`. */
  | { readonly kind: 'connect'; readonly destination: Destination }
  /** The refusal is among the replies: the caller sends them and closes. */
  | { readonly kind: 'failed'; readonly code: FailureCode; readonly detail: string };

export interface Socks5Step {
  /** To be sent to the client, in order. */
  readonly replies: readonly Buffer[];
  readonly outcome?: Socks5Outcome;
  /** Bytes behind the request, which are the tunnel's. Set with the outcome. */
  readonly rest?: Buffer;
}

export interface Socks5Negotiation {
  receive(bytes: Buffer): Socks5Step;
}

/**
 * The server's side of SOCKS5 (RFC 1928), CONNECT only. With `authenticate`, a user name and password are demanded
 * (RFC 1929); without, none is needed, and any is taken from a client that offers nothing else.
 */
export function createSocks5Negotiation(authenticate?: (user: string, password: string) => boolean): Socks5Negotiation {
  let stage: Stage | undefined = readGreeting(authenticate);
  let pending: Buffer = Buffer.alloc(0);
  return {
    receive(bytes) {
      pending = pending.length === 0 ? bytes : Buffer.concat([pending, bytes]);
      const replies: Buffer[] = [];
      while (stage !== undefined) {
        const step: StageStep = stage(pending);
        if (step.kind === 'partial') return { replies };
        pending = pending.subarray(step.consumed);
        if (step.reply !== undefined) replies.push(step.reply);
        if (step.kind === 'outcome') {
          stage = undefined;
          return { replies, outcome: step.outcome, rest: take() };
        }
        stage = step.next;
      }
      return { replies, rest: take() };
    },
  };

  function take(): Buffer {
    const rest = pending;
    pending = Buffer.alloc(0);
    return rest;
  }
}

/** Makes a reply (RFC 1928 section 6). The bound address is ours towards the origin; zeros when there is none. */
export function socks5Reply(code: number, bound?: Address): Buffer {
  const ip = (bound === undefined ? undefined : parseIp(bound.ip)) ?? Buffer.alloc(4);
  const type = ip.length === 4 ? addressType.ipv4 : addressType.ipv6;
  const port = bound?.port ?? 0;
  return Buffer.from([version, code, 0, type, ...ip, port >> 8, port & 0xff]);
}

/** The reply to a request that ended with this failure, or with success when there is none. */
export function socks5ReplyFor(code: FailureCode | undefined, bound?: Address): Buffer {
  if (code === undefined) return socks5Reply(reply.succeeded, bound);
  return socks5Reply(replyCodes.get(code) ?? (code.startsWith('POLICY_') ? reply.notAllowed : reply.generalFailure));
}

const version = 5;
const passwordVersion = 1;
const addressType = { ipv4: 1, name: 3, ipv6: 4 } as const;
const commandConnect = 1;
const method = { none: 0, password: 2, unacceptable: 0xff } as const;
const reply = {
  succeeded: 0,
  generalFailure: 1,
  notAllowed: 2,
  networkUnreachable: 3,
  hostUnreachable: 4,
  refused: 5,
  ttlExpired: 6,
  commandUnsupported: 7,
  addressTypeUnsupported: 8,
} as const;

const replyCodes: ReadonlyMap<FailureCode, number> = new Map([
  ['ORIGIN_REFUSED', reply.refused],
  ['ORIGIN_UNREACHABLE', reply.networkUnreachable],
  ['ORIGIN_NAME_UNRESOLVED', reply.hostUnreachable],
  ['ORIGIN_CONNECT_TIMEOUT', reply.ttlExpired],
] as const satisfies readonly (readonly [FailureCode, number])[]);

type Authenticate = (user: string, password: string) => boolean;

/** Reads one message from the bytes that wait; each is at most some 500 bytes long, so what waits is bounded. */
type Stage = (bytes: Buffer) => StageStep;
type StageStep =
  | { readonly kind: 'partial' }
  | { readonly kind: 'next'; readonly consumed: number; readonly reply: Buffer; readonly next: Stage }
  | {
      readonly kind: 'outcome';
      readonly consumed: number;
      readonly reply: Buffer | undefined;
      readonly outcome: Socks5Outcome;
    };

const partial: StageStep = { kind: 'partial' };

function failed(code: FailureCode, detail: string, consumed: number, reply?: Buffer): StageStep {
  return { kind: 'outcome', consumed, reply, outcome: { kind: 'failed', code, detail } };
}

function invalid(detail: string, code?: number): StageStep {
  return failed('CLIENT_PROXY_REQUEST_INVALID', detail, 0, code === undefined ? undefined : socks5Reply(code));
}

/** Version, count, methods. */
function readGreeting(authenticate: Authenticate | undefined): Stage {
  return (bytes) => {
    const [greeted, count] = bytes;
    if (greeted !== undefined && greeted !== version) return invalid(`SOCKS version ${greeted}`);
    if (count === undefined || bytes.length < 2 + count) return partial;
    const consumed = 2 + count;
    const offered = bytes.subarray(2, consumed);
    if (authenticate === undefined && offered.includes(method.none)) {
      return { kind: 'next', consumed, reply: Buffer.from([version, method.none]), next: readRequest };
    }
    if (offered.includes(method.password)) {
      const next = readPassword(authenticate ?? (() => true));
      return { kind: 'next', consumed, reply: Buffer.from([version, method.password]), next };
    }
    const code = authenticate === undefined ? 'CLIENT_PROXY_REQUEST_INVALID' : 'CLIENT_PROXY_AUTH_REQUIRED';
    return failed(code, 'no SOCKS5 method in common', consumed, Buffer.from([version, method.unacceptable]));
  };
}

/** Version, user name, password, each behind its length (RFC 1929 section 2). */
function readPassword(authenticate: Authenticate): Stage {
  return (bytes) => {
    const [negotiated, userBytes] = bytes;
    if (negotiated !== undefined && negotiated !== passwordVersion) return invalid(`password version ${negotiated}`);
    if (userBytes === undefined) return partial;
    const passwordBytes = bytes[2 + userBytes];
    if (passwordBytes === undefined || bytes.length < 3 + userBytes + passwordBytes) return partial;
    const consumed = 3 + userBytes + passwordBytes;
    const user = bytes.toString('utf8', 2, 2 + userBytes);
    const password = bytes.toString('utf8', 3 + userBytes, consumed);
    if (authenticate(user, password)) {
      return { kind: 'next', consumed, reply: Buffer.from([passwordVersion, 0]), next: readRequest };
    }
    return failed(
      'CLIENT_PROXY_AUTH_REQUIRED',
      'wrong user name or password',
      consumed,
      Buffer.from([passwordVersion, 1]),
    );
  };
}

/** Version, command, reserved, address type, address, port (RFC 1928 section 4). */
function readRequest(bytes: Buffer): StageStep {
  const [requested, command, reserved, type, nameBytes] = bytes;
  if (requested !== undefined && requested !== version)
    return invalid(`request version ${requested}`, reply.generalFailure);
  if (type === undefined) return partial;
  if (command !== commandConnect) return invalid(`command ${command}`, reply.commandUnsupported);
  if (reserved !== 0) return invalid('reserved byte is not zero', reply.generalFailure);
  const addressBytes = addressBytesOf(type, nameBytes);
  if (addressBytes === 'unsupported') return invalid(`address type ${type}`, reply.addressTypeUnsupported);
  if (addressBytes === undefined || bytes.length < 4 + addressBytes + 2) return partial;
  const destination = destinationOf(type, bytes.subarray(4, 4 + addressBytes), bytes.readUInt16BE(4 + addressBytes));
  if (destination === undefined) return invalid('destination is no host and port', reply.generalFailure);
  return { kind: 'outcome', consumed: 6 + addressBytes, reply: undefined, outcome: { kind: 'connect', destination } };
}

function addressBytesOf(type: number, nameBytes: number | undefined): number | undefined | 'unsupported' {
  switch (type) {
    case addressType.ipv4:
      return 4;
    case addressType.ipv6:
      return 16;
    case addressType.name:
      return nameBytes === undefined ? undefined : 1 + nameBytes;
    default:
      return 'unsupported';
  }
}

function destinationOf(type: number, address: Buffer, port: number): Destination | undefined {
  const written = type === addressType.name ? address.toString('latin1', 1) : formatIp(address);
  const host = canonicalHost(written);
  if (host === undefined || port === 0) return undefined;
  return parseIp(host) === undefined ? { host, port } : { host, port, ip: host };
}
