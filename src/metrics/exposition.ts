/** What each metric means: the exposition's HELP lines and the reference in docs/metrics.md. */
export const metricHelp: Readonly<Record<string, { readonly type: 'counter' | 'gauge'; readonly help: string }>> = {
  daylight_flows_total: { type: 'counter', help: 'Flows by decision (intercept, bypass, refuse, none).' },
  daylight_flows_open: { type: 'gauge', help: 'Flows open now.' },
  daylight_timers: { type: 'gauge', help: 'Timers that wait for a peer, by relay: none while no flow is open.' },
  daylight_leafs_cached: { type: 'gauge', help: 'Leafs kept ready, by relay.' },
  daylight_transactions_total: { type: 'counter', help: 'Transactions by protocol and verdict.' },
  daylight_quic_refused_total: { type: 'counter', help: 'First packets of QUIC clients that were refused.' },
  daylight_messages_total: {
    type: 'counter',
    help: 'Messages inside transactions by protocol and the side they came from.',
  },
  daylight_alarms_total: { type: 'counter', help: 'Alarms by severity.' },
  daylight_bodies_not_inspected_total: {
    type: 'counter',
    help: 'Bodies that rules did not see as a client does, by message; their records say why.',
  },
  daylight_messages_changed_total: {
    type: 'counter',
    help: 'Messages whose head or body was changed on its way, by message.',
  },
  daylight_scans_total: {
    type: 'counter',
    help: 'Messages shown to content scanners, by scanner and outcome (clean, blocked, failed).',
  },
  daylight_failures_total: {
    type: 'counter',
    help: 'Failures by code: each transaction that failed, and each flow whose transactions have not told the same code.',
  },
  daylight_issuer_fetches_total: {
    type: 'counter',
    help: 'Fetches of intermediates that origins did not send, by outcome (ok, useless, failed, refused).',
  },
  daylight_origin_paths_avoided_total: {
    type: 'counter',
    help: 'Origins whose chain holds by another path than one over a CA that revocation refuses.',
  },
  daylight_origin_paths_found_total: {
    type: 'counter',
    help: 'Origins whose chain holds by another path than the one that OpenSSL tried.',
  },
  daylight_bypassed_failures_total: {
    type: 'counter',
    help: 'Failed origin checks that policy left to the client itself, by failure code.',
  },
  daylight_bytes_total: { type: 'counter', help: 'Application bytes by the side they came from.' },
  daylight_leafs_issued_total: { type: 'counter', help: 'Leafs issued by control.' },
  daylight_leaf_cache_total: { type: 'counter', help: 'Leaf cache lookups by result.' },
  daylight_tls_sessions_total: { type: 'counter', help: 'TLS sessions by leg and whether they were resumed.' },
  daylight_leaf_rejections_total: {
    type: 'counter',
    help: 'Leafs that clients did not accept, by sign (alert, closed-in-handshake, closed-after-handshake).',
  },
  daylight_learned_bypasses: { type: 'gauge', help: 'Learned bypasses by state (watched, pending, active).' },
  daylight_learned_bypass_flows_total: { type: 'counter', help: 'Flows that a learned bypass let pass unread.' },
  daylight_origin_revocation_total: {
    type: 'counter',
    help: 'Origins asked about by what was found (good, revoked, unknown) and who said so.',
  },
  daylight_revocation_fetches_total: {
    type: 'counter',
    help: 'Fetches of CRLs and OCSP answers by kind and outcome; refused ones led where they may not.',
  },
  daylight_records_total: { type: 'counter', help: 'Record lines written by log.' },
  daylight_records_dropped_total: { type: 'counter', help: 'Record lines lost because the disk did not take them.' },
  daylight_records_stopped: {
    type: 'gauge',
    help: '1 where flows are refused because records cannot be written (`records.onFailure: stop`), by relay.',
  },
  daylight_export_dropped_bytes_total: {
    type: 'counter',
    help: 'Bytes of exported packets lost because the disk did not take them.',
  },
  daylight_export_readers_dropped_total: { type: 'counter', help: 'Readers of PCAP-over-IP let go for being slow.' },
  daylight_relay_restarts_total: { type: 'counter', help: 'Relays that ended unexpectedly and were started again.' },
  daylight_policy_reloads_total: { type: 'counter', help: 'Reloads by outcome (applied, unchanged, failed).' },
  daylight_simulated_faults_total: {
    type: 'counter',
    help: 'Times that a fault of `start --simulate` struck; a series with 0 when it has not yet. Absent in production.',
  },
  daylight_relays: { type: 'gauge', help: 'Relays that run now.' },
  daylight_relay_event_loop_delay_ms: {
    type: 'gauge',
    help: 'Highest event loop delay of a relay in the last report, by relay.',
  },
  daylight_relay_event_loop_cpu_ms: {
    type: 'gauge',
    help: 'Most CPU time that a relay used in the last report before its event loop came round, by relay; up to 20 ms more than that of one turn. A delay far above it was made by other programs.',
  },
  daylight_relay_event_loop_stalls_total: {
    type: 'counter',
    help: 'Seconds in which the event loop of a relay stood still for more than 100 ms.',
  },
  daylight_resident_bytes: { type: 'gauge', help: 'Resident memory by process.' },
};

/** Sums of all processes, ready to be read by Prometheus (text format 0.0.4). */
export interface Exposition {
  add(increments: Readonly<Record<string, number>>): void;
  set(gauges: Readonly<Record<string, number>>): void;
  /** Takes series away, such as those of a process that has ended. */
  drop(series: readonly string[]): void;
  /** Sum of all series of a metric. */
  sum(name: string): number;
  text(): string;
}

/** Makes an empty exposition. */
export function createExposition(): Exposition {
  const values = new Map<string, number>();
  return {
    add(increments) {
      for (const [series, by] of Object.entries(increments)) values.set(series, (values.get(series) ?? 0) + by);
    },
    set(gauges) {
      for (const [series, value] of Object.entries(gauges)) values.set(series, value);
    },
    drop(series) {
      for (const name of series) values.delete(name);
    },
    sum: (name) => seriesOf(values, name).reduce((sum, [, value]) => sum + value, 0),
    text: () => render(values),
  };
}

function seriesOf(values: ReadonlyMap<string, number>, name: string): [string, number][] {
  return [...values].filter(([key]) => key === name || key.startsWith(`${name}{`));
}

function render(values: ReadonlyMap<string, number>): string {
  const lines: string[] = [];
  for (const [name, { type, help }] of Object.entries(metricHelp)) {
    const series = seriesOf(values, name);
    if (series.length === 0) continue;
    lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`);
    for (const [key, value] of series.sort()) lines.push(`${key} ${value}`);
  }
  return `${lines.join('\n')}\n`;
}
