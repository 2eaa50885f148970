/**
 * How a client showed that it does not accept our leaf: by a TLS alert, by closing in the middle of the handshake, or by
 * closing right after it without a word (a pin that is compared once the handshake is done).
 */
export type RejectionSign = 'alert' | 'closed-in-handshake' | 'closed-after-handshake';

/** For whom and where to something is learned: never beyond the group that the evidence comes from. */
export interface LearnedScope {
  /** `client 10.1.0.7`, `client 2001:db8:1:2::/64` or `asset web-1`. */
  readonly group: string;
  /** Canonical name or address that the leaf was for. */
  readonly host: string;
  readonly port: number;
}

/** One rejection, as a relay saw it. */
export interface LeafRejection extends LearnedScope {
  readonly sign: RejectionSign;
  /** Name of the alert, or empty. */
  readonly detail: string;
  readonly client: string;
  readonly timeMs: number;
  readonly flowId: string;
}

/** A bypass in force, as control tells relays. */
export interface LearnedBypass extends LearnedScope {
  readonly untilMs: number;
  /** Policy alone has learned it, or an operator has approved it. */
  readonly by: 'policy' | 'operator';
  /** Part of the reason in records, e.g. `3 rejections, last alert unknown_ca`. */
  readonly evidence: string;
}

/** One text for a scope. Groups and hosts hold no line feed. */
export function scopeKey({ group, host, port }: LearnedScope): string {
  return `${group}\n${host}\n${port}`;
}
