import { readdirSync, readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { problemText } from '../config/problem.ts';
import { FlowFailure } from '../core/failures.ts';
import type { ListenAddress, TransparentListener } from '../core/policy.ts';
import { type CapturePlan, type ClientBlocks, type ForwardedTraffic, isWildcard } from '../net/capture-rules.ts';
import type { CommandIo } from './command-io.ts';
import { exitCodes } from './exit-codes.ts';
import { type ListenerSource, type NetOptions, netHelp, parseNetOptions, UsageError } from './net-options.ts';
import {
  activeRoutes,
  activeRules,
  applyCapture,
  captureCommands,
  removeCapture,
  ToolFailure,
} from './packet-filter.ts';

export { netHelp };

/** The `net` command: resolves with the exit code. Throws FlowFailure GATEWAY_CONFIG_INVALID. */
export async function runNet(args: readonly string[], io: CommandIo): Promise<number> {
  try {
    const options = parseNetOptions(args);
    if (options === undefined) io.stdout.write(netHelp);
    else await act(options, io);
    return exitCodes.ok;
  } catch (error) {
    if (!(error instanceof UsageError) && !(error instanceof ToolFailure)) throw error;
    io.stderr.write(`daylight net: ${error.message}\n`);
    if (error instanceof ToolFailure) return exitCodes.failed;
    io.stderr.write('More: daylight net --help\n');
    return exitCodes.usage;
  }
}

async function act(options: NetOptions, io: CommandIo): Promise<void> {
  const { action, dryRun } = options;
  if (action === 'up' || (action === 'show' && dryRun)) up(await planOf(options, io), dryRun, io);
  else if (action === 'down' && !dryRun) down(io);
  else show(io);
}

function up(plan: CapturePlan, dryRun: boolean, io: CommandIo): void {
  if (dryRun) {
    io.stdout.write(captureCommands(plan));
    return;
  }
  applyCapture(plan);
  const listeners = [plan.ipv4, plan.ipv6].filter((listen) => listen !== undefined).map(({ port }) => port);
  const to = [...new Set(listeners)].join(' and ');
  io.stdout.write(`TCP ${plan.ports.join(', ')} goes to port ${to} (${plan.capture}). Undo: daylight net down\n`);
}

function down(io: CommandIo): void {
  removeCapture();
  io.stdout.write('nothing is captured\n');
}

function show(io: CommandIo): void {
  const rules = activeRules();
  const routes = activeRoutes();
  if (rules === undefined && routes.length === 0) io.stdout.write('nothing is captured\n');
  else io.stdout.write(`${[...routes, ...(rules === undefined ? [] : [rules.trimEnd()])].join('\n')}\n`);
}

/** What the options and the listeners come to. Warns of what would pass by. */
async function planOf(options: NetOptions, io: CommandIo): Promise<CapturePlan> {
  const { ports, forwarded, local, refuseQuic, ftpData } = options;
  if (forwarded === undefined && local === undefined)
    throw new UsageError('say whose traffic: --from, --interface or --local');
  const { capture, listen, quicAllowed } = await listenersOf(options.source);
  if (capture === 'tproxy' && local !== undefined) {
    throw new UsageError('TPROXY takes forwarded traffic only; use a REDIRECT listener for --local');
  }
  const ipv6 = hasIpv6() ? listen.find(({ ip }) => ip.includes(':')) : undefined;
  // A listener on `::` takes IPv4 too.
  const ipv4 = listen.find(({ ip }) => !ip.includes(':')) ?? listen.find(({ ip }) => ip === '::');
  const plan: CapturePlan = { capture, ipv4, ipv6, ports, ftpData, forwarded, local, refuseQuic, quicAllowed };
  for (const warning of warningsOf(plan)) io.stderr.write(`daylight net: warning: ${warning}\n`);
  return plan;
}

interface Listeners {
  readonly capture: 'redirect' | 'tproxy';
  readonly listen: readonly ListenAddress[];
  /** Addresses of the assets whose QUIC passes. */
  readonly quicAllowed: ClientBlocks;
}

async function listenersOf(source: ListenerSource): Promise<Listeners> {
  if (source.kind === 'port') return { ...source, quicAllowed: { ipv4Sources: [], ipv6Sources: [] } };
  const { transparent, quicAllowed } = await configuredTraffic(source.file);
  const kinds = [...new Set(transparent.map(({ capture }) => capture))];
  const capture = source.capture ?? (kinds.length === 1 ? kinds[0] : undefined);
  if (kinds.length === 0) throw new UsageError(`${source.file} has no transparent listener`);
  if (capture === undefined) throw new UsageError(`${source.file} has listeners of both kinds: choose with --capture`);
  const chosen = transparent.filter((listener) => listener.capture === capture);
  if (chosen.some(({ listen }) => listen.port === 0)) {
    throw new UsageError(`${source.file} leaves the port of a transparent listener to the system: name one`);
  }
  if (chosen.length === 0) throw new UsageError(`${source.file} has no listener with capture: ${capture}`);
  return { capture, listen: chosen.map(({ listen }) => listen), quicAllowed };
}

interface ConfiguredTraffic {
  readonly transparent: readonly TransparentListener[];
  readonly quicAllowed: ClientBlocks;
}

async function configuredTraffic(file: string): Promise<ConfiguredTraffic> {
  // Loaded when used: `down` works without a configuration.
  const { loadConfig } = await import('../config/load.ts');
  const outcome = loadConfig(file);
  if (outcome.kind !== 'loaded') {
    throw new FlowFailure('GATEWAY_CONFIG_INVALID', outcome.problems.map(problemText).join('\n'));
  }
  const { listeners, assets } = outcome.config.policy;
  const allowed = assets.filter(({ quic }) => quic === 'allow').flatMap(({ addresses }) => addresses);
  return {
    transparent: listeners.filter((listener) => listener.mode === 'transparent'),
    quicAllowed: {
      ipv4Sources: allowed.filter((block) => !block.includes(':')),
      ipv6Sources: allowed.filter((block) => block.includes(':')),
    },
  };
}

/** Throws UsageError for what can never work. */
function warningsOf(plan: CapturePlan): readonly string[] {
  const warnings: string[] = [];
  if (plan.ipv4 === undefined) warnings.push('IPv4 passes by: no listener takes it');
  if (plan.ipv6 === undefined && hasIpv6()) warnings.push('IPv6 passes by: no listener is on [::]');
  for (const listen of [plan.ipv4, plan.ipv6]) {
    if (listen === undefined || plan.capture === 'tproxy' || isWildcard(listen.ip)) continue;
    warnings.push(...warningsOfNarrow(listen, plan));
  }
  if (plan.forwarded !== undefined) warnings.push(...warningsOfForwarded(plan, plan.forwarded));
  if (plan.local !== undefined && plan.ftpData) {
    warnings.push('FTP of programs on this host is not read: it passes, or is refused with files.unread: refuse');
  }
  return warnings;
}

function warningsOfForwarded({ ipv6 }: CapturePlan, traffic: ForwardedTraffic): readonly string[] {
  const warnings: string[] = [];
  if (!forwards(4)) {
    warnings.push('this host does not forward: only captured ports get through (sysctl net.ipv4.ip_forward=1)');
  }
  if (ipv6 !== undefined && !forwards(6)) {
    warnings.push('this host does not forward IPv6 (sysctl net.ipv6.conf.all.forwarding=1)');
  }
  const { interfaces, ipv4Sources, ipv6Sources } = traffic;
  // Where a client has both, it would take the one that nobody inspects.
  if (ipv6 !== undefined && ipv6Sources.length === 0 && ipv4Sources.length > 0 && forwards(6)) {
    warnings.push('IPv6 passes by: --from names no block of it');
  }
  return [...warnings, ...missingInterfaces(interfaces)];
}

/** They may come later, as those of containers do, but a name may also be mistyped. */
function missingInterfaces(names: readonly string[]): readonly string[] {
  const present = interfacesHere();
  if (present === undefined) return [];
  const isThere = (name: string): boolean =>
    name.endsWith('*') ? present.some((one) => one.startsWith(name.slice(0, -1))) : present.includes(name);
  return names.filter((name) => !isThere(name)).map((name) => `there is no interface ${name} on this host yet`);
}

/** Those without an address too; undefined where the kernel does not tell. */
function interfacesHere(): readonly string[] | undefined {
  try {
    return readdirSync('/sys/class/net');
  } catch {
    return undefined;
  }
}

/** REDIRECT rewrites the destination to the address of the interface: the loopback for local traffic. */
function warningsOfNarrow({ ip }: ListenAddress, plan: CapturePlan): readonly string[] {
  const isLoopback = ip.startsWith('127.') || ip === '::1';
  if (isLoopback && plan.forwarded !== undefined) {
    throw new UsageError(`a listener on ${ip} gets no forwarded connection: let it listen on 0.0.0.0 or [::]`);
  }
  if (isLoopback) return [];
  return [`${ip} gets only what arrives on the interface whose first address it is; 0.0.0.0 and [::] get all`];
}

function hasIpv6(): boolean {
  return Object.values(networkInterfaces()).some((list) => list?.some(({ family }) => family === 'IPv6'));
}

function forwards(family: 4 | 6): boolean {
  const setting = family === 4 ? 'ipv4/ip_forward' : 'ipv6/conf/all/forwarding';
  try {
    return readFileSync(`/proc/sys/net/${setting}`, 'utf8').trim() === '1';
  } catch {
    return false;
  }
}
