import { formatIp, parseIp } from '../codec/ip-address.ts';
import { type LeafRejection, type LearnedBypass, type RejectionSign, scopeKey } from '../core/learned-bypass.ts';
import { limits } from '../core/limits.ts';
import { count } from '../metrics/counters.ts';
import type { FlowDecision } from './decide.ts';
import type { Flow } from './flow.ts';
import type { Tunnel } from './relay-tunnel.ts';

/** What a relay knows of learned bypasses: those in force, and a way to report evidence to control, which owns them. */
export class LearnedBypassTable {
  #inForce = new Map<string, LearnedBypass>();
  /** Scopes where a leaf of ours was accepted: closing is no sign there. */
  readonly #accepted = new Map<string, number>();
  readonly #tell: (rejection: LeafRejection) => void;
  #second = 0;
  #told = 0;

  constructor(tell: (rejection: LeafRejection) => void) {
    this.#tell = tell;
  }

  /** Takes the whole list that control sends. */
  replace(bypasses: readonly LearnedBypass[]): void {
    this.#inForce = new Map(bypasses.map((bypass) => [scopeKey(bypass), bypass]));
  }

  find(key: string, nowMs: number): LearnedBypass | undefined {
    const found = this.#inForce.get(key);
    return found !== undefined && found.untilMs > nowMs ? found : undefined;
  }

  /** A client of this scope has spoken behind our leaf. */
  accepted(key: string, nowMs: number): void {
    this.#accepted.delete(key);
    this.#accepted.set(key, nowMs);
    if (this.#accepted.size <= limits.learnedBypasses) return;
    const oldest = this.#accepted.keys().next();
    if (!oldest.done) this.#accepted.delete(oldest.value);
  }

  /** Reports a rejection; a client that floods handshakes does not flood control. */
  rejected(rejection: LeafRejection, withinMs: number): void {
    count(`daylight_leaf_rejections_total{sign="${rejection.sign}"}`);
    const acceptedMs = this.#accepted.get(scopeKey(rejection));
    // Browsers open connections ahead and close them unused; an alert is said by somebody who means it.
    if (rejection.sign !== 'alert' && acceptedMs !== undefined && rejection.timeMs - acceptedMs < withinMs) return;
    const second = Math.floor(rejection.timeMs / 1_000);
    if (second !== this.#second) {
      this.#second = second;
      this.#told = 0;
    }
    this.#told += 1;
    if (this.#told <= limits.rejectionsToldPerSecond) this.#tell(rejection);
  }
}

/**
 * The bypass that was learned for a flow that would be intercepted. Name and destination both have to be learned, as in
 * decide; of a destination that is only an address the name alone is, and then the flow goes where that name leads.
 */
export function learnedDecision(flow: Flow, { destination }: Tunnel): FlowDecision | undefined {
  const { facts, policy, plane } = flow;
  if (policy.document.learnedBypass.action === 'refuse') return undefined;
  const { host } = destination;
  const name = facts.serverName === host ? undefined : facts.serverName;
  const now = Date.now();
  const found = (asked: string): LearnedBypass | undefined => {
    if (policy.neverLearned(asked)) return undefined;
    const bypass = plane.learned.find(scopeKey({ ...groupOf(flow), host: asked, port: destination.port }), now);
    // What policy learned by itself holds only while policy lets it.
    return bypass?.by === 'policy' && policy.document.learnedBypass.action !== 'bypass' ? undefined : bypass;
  };
  const isAddress = destination.ip !== undefined && destination.ip === host;
  const byName = name === undefined ? undefined : found(name);
  const byHost = isAddress && name !== undefined ? undefined : found(host);
  if (isAddress && byName !== undefined)
    return { ...decisionOf(byName), ...(name === undefined ? {} : { restsOn: name }) };
  if (byHost === undefined || (name !== undefined && byName === undefined)) return undefined;
  return decisionOf(byHost);
}

/** Tells control that the client of a flow does not accept the leaf for a name. */
export function noteRejection(flow: Flow, host: string, sign: RejectionSign, detail: string): void {
  const { facts, policy, plane } = flow;
  const port = facts.destination?.port ?? 0;
  plane.learned.rejected(
    { ...groupOf(flow), host, port, sign, detail, client: facts.client.ip, timeMs: Date.now(), flowId: facts.flowId },
    policy.document.learnedBypass.withinMs,
  );
}

/** Notes that the client of a flow has taken the leaf for a name. */
export function noteAcceptance(flow: Flow, host: string): void {
  const port = flow.facts.destination?.port ?? 0;
  flow.plane.learned.accepted(scopeKey({ ...groupOf(flow), host, port }), Date.now());
}

/**
 * Who learns: the address of the client itself (of IPv6 its /64, which is one host's to roam in), or where policy says so
 * the asset that this address is. Every evidence has completed a TCP handshake from there, so that nobody else's is forged.
 */
function groupOf({ facts, policy, listener }: Flow): { readonly group: string } {
  const { ip } = facts.client;
  // A published endpoint's asset is its origin: all clients of the Internet would share what one of them taught.
  if (policy.document.learnedBypass.group === 'asset' && listener.mode !== 'reverse') {
    const asset = policy.assetOf(ip, undefined, listener);
    if (asset !== undefined) return { group: `asset ${asset.id}` };
  }
  const bytes = parseIp(ip);
  return { group: `client ${bytes?.length === 16 ? `${formatIp(bytes.fill(0, 8))}/64` : ip}` };
}

function decisionOf({ evidence, untilMs, by }: LearnedBypass): FlowDecision {
  const who = by === 'operator' ? 'approved' : 'learned';
  return { kind: 'bypass', reason: `learned bypass: ${evidence}; ${who} until ${new Date(untilMs).toISOString()}` };
}
