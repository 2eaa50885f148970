import { spawnSync } from 'node:child_process';
import {
  type CapturePlan,
  captureMark,
  captureRouteTable,
  captureScript,
  captureTable,
  removalScript,
  routedFamilies,
} from '../net/capture-rules.ts';

/** A system tool is missing, lacks a privilege, or refuses. The message is for the operator. */
export class ToolFailure extends Error {}

/** Makes the rules and routes of a plan the only ones. What was there before stays when the new rules are refused. */
export function applyCapture(plan: CapturePlan): void {
  const needed = routedFamilies(plan);
  const missing = needed.filter((family) => !hasRule(family));
  try {
    for (const family of needed) addRoute(family);
    nft(['-f', '-'], captureScript(plan));
  } catch (error) {
    removeRoutes(missing);
    throw error;
  }
  removeRoutes(families.filter((family) => !needed.includes(family)));
}

/** Removes all rules and routes, whether there are any or not. */
export function removeCapture(): void {
  try {
    nft(['-f', '-'], removalScript());
  } finally {
    removeRoutes(families);
  }
}

/** The rules that are active, as nftables lists them; undefined when there are none. */
export function activeRules(): string | undefined {
  const { status, stdout, stderr } = run('nft', ['list', 'table', ...captureTable.split(' ')]);
  if (status === 0) return stdout;
  if (/No such file or directory/.test(stderr)) return undefined;
  throw refusal('nft', stderr);
}

/** The routing that is active, one line for each rule and route. */
export function activeRoutes(): readonly string[] {
  return families.flatMap((family) => [
    ...(hasRule(family) ? [`ip -${family} rule ${ruleText}`] : []),
    ...(hasRoute(family) ? [`ip -${family} route ${routeText}`] : []),
  ]);
}

/** The commands that `applyCapture` stands for, for people to read. */
export function captureCommands(plan: CapturePlan): string {
  const routes = routedFamilies(plan).flatMap((family) => [
    `ip -${family} rule add ${ruleText}`,
    `ip -${family} route replace ${routeText}`,
  ]);
  return `${[...routes, 'nft -f - <<END'].join('\n')}\n${captureScript(plan)}END\n`;
}

const families = [4, 6] as const;
type Family = (typeof families)[number];
const mark = `0x${captureMark.toString(16)}`;
const ruleText = `fwmark ${mark}/${mark} lookup ${captureRouteTable}`;
const routeText = `local default dev lo table ${captureRouteTable}`;

function addRoute(family: Family): void {
  // `rule add` would add a second one on some kernels, and fail on others.
  if (!hasRule(family)) ip(family, ['rule', 'add', ...ruleText.split(' ')]);
  ip(family, ['route', 'replace', ...routeText.split(' ')]);
}

function removeRoutes(unneeded: readonly Family[]): void {
  for (const family of unneeded) {
    while (hasRule(family)) ip(family, ['rule', 'del', ...ruleText.split(' ')]);
    if (hasRoute(family)) ip(family, ['route', 'del', ...routeText.split(' ')]);
  }
}

function hasRule(family: Family): boolean {
  return listed(family, ['rule', 'show']).some(
    (rule) =>
      Number(rule.fwmark) === captureMark &&
      // Without a mask it is a rule about the whole mark, and somebody else's.
      Number(rule.fwmask) === captureMark &&
      Number(rule.table) === captureRouteTable,
  );
}

function hasRoute(family: Family): boolean {
  // Type 2 is `local`, by its number as by its name.
  return listed(family, ['route', 'show', 'table', String(captureRouteTable)]).some(
    (route) => route.dst === 'default' && route.dev === 'lo' && (route.type === '2' || route.type === 'local'),
  );
}

/** What iproute2 lists, numbers unresolved; nothing where the table or the whole family does not exist. */
function listed(family: Family, args: readonly string[]): readonly Readonly<Record<string, unknown>>[] {
  const { status, stdout } = run('ip', ['-N', '-j', `-${family}`, ...args]);
  if (status !== 0 || stdout.trim() === '') return [];
  const entries: unknown = JSON.parse(stdout);
  return Array.isArray(entries) ? entries : [];
}

function ip(family: Family, args: readonly string[]): void {
  const { status, stderr } = run('ip', [`-${family}`, ...args]);
  if (status !== 0) throw refusal(`ip -${family} ${args.join(' ')}`, stderr);
}

function nft(args: readonly string[], script: string): void {
  const { status, stderr } = run('nft', args, script);
  if (status !== 0) throw refusal('nft', stderr);
}

interface ToolResult {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const packages = { nft: 'nftables', ip: 'iproute2' } as const;

function run(tool: keyof typeof packages, args: readonly string[], input = ''): ToolResult {
  // Users other than root often lack the folders of system tools in their path.
  const env = { ...process.env, PATH: `${process.env.PATH ?? ''}:/usr/sbin:/sbin`, LC_ALL: 'C' };
  const result = spawnSync(tool, args, { input, env, encoding: 'utf8', timeout: 10_000 });
  if (result.error === undefined) return result;
  const { code } = result.error as NodeJS.ErrnoException;
  if (code === 'ENOENT') throw new ToolFailure(`\`${tool}\` is not installed: install the package ${packages[tool]}`);
  throw new ToolFailure(`\`${tool}\` could not be run: ${code ?? result.error.message}`);
}

function refusal(command: string, stderr: string): ToolFailure {
  const reason = stderr.trim();
  if (/not permitted|permission denied|must be root/i.test(reason)) {
    return new ToolFailure(`\`${command}\` may not change the network: run as root, or with CAP_NET_ADMIN (${reason})`);
  }
  const [, user] = /User does not exist[\s\S]*?skuid "([^"]*)"/.exec(reason) ?? [];
  if (user !== undefined) return new ToolFailure(`--except-user ${user}: this host has no such user`);
  return new ToolFailure(`\`${command}\` failed: ${reason}`);
}
