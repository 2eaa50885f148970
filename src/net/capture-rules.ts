import type { ListenAddress } from '../core/policy.ts';

/** What transparent mode captures, and where to. Every string is checked by the maker: it goes into a script. */
export interface CapturePlan {
  readonly capture: 'redirect' | 'tproxy';
  /** Where captured connections of a family go; undefined leaves the family alone. */
  readonly ipv4: ListenAddress | undefined;
  readonly ipv6: ListenAddress | undefined;
  readonly ports: readonly number[];
  /** Bring data connections of FTP to the gateway. TPROXY does so anyhow. */
  readonly ftpData: boolean;
  /** Traffic that passes through this host: from any of the interfaces and any of the blocks; empty means all. */
  readonly forwarded: ForwardedTraffic | undefined;
  /** Traffic of programs on this host. */
  readonly local: LocalTraffic | undefined;
  /** Refuse QUIC on captured port 443, so that clients fall back to TCP. */
  readonly refuseQuic: boolean;
  /** Clients whose QUIC passes all the same. */
  readonly quicAllowed: ClientBlocks;
}
export interface ClientBlocks {
  readonly ipv4Sources: readonly string[];
  readonly ipv6Sources: readonly string[];
}
export interface ForwardedTraffic extends ClientBlocks {
  readonly interfaces: readonly string[];
}
/** Who is left alone: at least the gateway, or it would capture its own connections to origins for ever. */
export interface LocalTraffic {
  readonly exceptUsers: readonly string[];
  readonly exceptMarks: readonly number[];
}

/** The table that holds all rules: removing it removes them. */
export const captureTable = 'inet daylight';
/** Marks packets that belong to a socket of the gateway although they are addressed to others. */
export const captureMark = 0x1;
/** The routing table that delivers marked packets to this host. */
export const captureRouteTable = 100;

/** An nftables script that makes the rules of a plan the only ones, in one transaction, whatever was there. */
export function captureScript(plan: CapturePlan): string {
  const chains = [...captureChains(plan), ...quicChains(plan)];
  return `${removalScript()}table ${captureTable} {\n${chains.map(chainText).join('\n')}}\n`;
}

/** An nftables script that removes all rules, in one transaction, whether there are any or not. */
export function removalScript(): string {
  return `table ${captureTable}\ndelete table ${captureTable}\n`;
}

/** The families that TPROXY needs routes for: none with REDIRECT, whose connections are addressed to this host. */
export function routedFamilies(plan: CapturePlan): readonly (4 | 6)[] {
  if (plan.capture === 'redirect' || plan.forwarded === undefined) return [];
  return sourcesOf(plan, plan.forwarded).map(({ family }) => family);
}

interface Chain {
  readonly name: string;
  readonly hook: string;
  readonly rules: readonly string[];
}

function chainText({ name, hook, rules }: Chain): string {
  const lines = [`type ${hook}; policy accept;`, ...rules].map((line) => `    ${line}\n`);
  return `  chain ${name} {\n${lines.join('')}  }\n`;
}

/** What is addressed to this host is never captured: its listeners, the admin address, SSH. */
const leaveOwnAddresses = 'fib daddr type local accept';

function captureChains(plan: CapturePlan): readonly Chain[] {
  const tcp = `tcp dport { ${plan.ports.join(', ')} }`;
  const chains: Chain[] = [];
  if (plan.forwarded !== undefined) {
    const sources = sourcesOf(plan, plan.forwarded);
    const isRedirect = plan.capture === 'redirect';
    const action = isRedirect ? redirectAction : tproxyAction;
    chains.push({
      name: 'capture_forwarded',
      hook: isRedirect ? 'nat hook prerouting priority dstnat' : 'filter hook prerouting priority mangle',
      rules: [
        ...(isRedirect ? [] : [deliverOwnSockets]),
        leaveOwnAddresses,
        ...(isRedirect && plan.ftpData ? sources.map(({ match }) => `${match} ${expectedConnections}`) : []),
        ...sources.map(({ match, family, listen }) => `${match} ${tcp} ${action(listen, family)}`),
      ],
    });
  }
  if (plan.local !== undefined) {
    chains.push({
      name: 'capture_local',
      hook: 'nat hook output priority -100',
      rules: [
        leaveOwnAddresses,
        ...leaveExcepted(plan.local),
        ...familiesOf(plan).map(({ family, listen }) => `${anyOf(family)} ${tcp} ${redirectAction(listen)}`),
      ],
    });
  }
  return chains;
}

/**
 * Packets of connections that TPROXY has handed over, and of the origin's answers to a spoofed client address: both are
 * addressed to others, yet a socket here awaits them.
 */
const deliverOwnSockets = `meta l4proto tcp socket transparent 1 ${setMark()} accept`;

/**
 * Data connections of FTP: for each, a relay holds a socket that is bound to the address of the origin (IP_FREEBIND), which
 * receives nothing but is found here, and listens on the same port of this host. Without such a socket nothing matches.
 */
const expectedConnections = 'tcp dport 1024-65535 socket wildcard 0 redirect';

function setMark(): string {
  return `meta mark set meta mark or ${captureMark}`;
}

function redirectAction({ port }: ListenAddress): string {
  return `redirect to :${port}`;
}

function tproxyAction({ ip, port }: ListenAddress, family: 4 | 6): string {
  const keyword = family === 4 ? 'ip' : 'ip6';
  const address = isWildcard(ip) ? '' : family === 4 ? ip : `[${ip}]`;
  return `${setMark()} tproxy ${keyword} to ${address}:${port} accept`;
}

/**
 * New QUIC clients are sent to the UDP port beside the listener, where the gateway tells them to go away and records who
 * asked for what; while nobody listens there, the kernel refuses them. What was under way before is rejected.
 */
function quicChains(plan: CapturePlan): readonly Chain[] {
  if (!plan.refuseQuic || !plan.ports.includes(443)) return [];
  const chains: Chain[] = [];
  const exempt = exemptClients(plan.quicAllowed);
  if (plan.forwarded !== undefined) {
    const sources = sourcesOf(plan, plan.forwarded);
    chains.push({
      name: 'quic_forwarded',
      hook: 'nat hook prerouting priority dstnat',
      rules: [
        leaveOwnAddresses,
        ...exempt,
        ...sources.map(({ match, listen }) => `${match} ${quic} counter ${redirectAction(listen)}`),
      ],
    });
    chains.push({
      name: 'refuse_quic_forwarded',
      hook: 'filter hook forward priority filter',
      rules: [...exempt, ...sources.map(({ match }) => `${match} ${quic} counter reject`)],
    });
  }
  if (plan.local !== undefined) {
    const left = [leaveOwnAddresses, ...leaveExcepted(plan.local)];
    const families = familiesOf(plan);
    chains.push({
      name: 'quic_local',
      hook: 'nat hook output priority -100',
      rules: [
        ...left,
        ...families.map(({ family, listen }) => `${anyOf(family)} ${quic} counter ${redirectAction(listen)}`),
      ],
    });
    chains.push({
      name: 'refuse_quic_local',
      hook: 'filter hook output priority filter',
      rules: [...left, ...families.map(({ family }) => `${anyOf(family)} ${quic} counter reject`)],
    });
  }
  return chains;
}

const quic = 'udp dport 443';

function exemptClients({ ipv4Sources, ipv6Sources }: ClientBlocks): readonly string[] {
  return [
    ...(ipv4Sources.length === 0 ? [] : [`ip saddr { ${ipv4Sources.join(', ')} } ${quic} accept`]),
    ...(ipv6Sources.length === 0 ? [] : [`ip6 saddr { ${ipv6Sources.join(', ')} } ${quic} accept`]),
  ];
}

interface FamilyListener {
  readonly family: 4 | 6;
  readonly listen: ListenAddress;
}

function familiesOf({ ipv4, ipv6 }: CapturePlan): readonly FamilyListener[] {
  const families: FamilyListener[] = [];
  if (ipv4 !== undefined) families.push({ family: 4, listen: ipv4 });
  if (ipv6 !== undefined) families.push({ family: 6, listen: ipv6 });
  return families;
}

/** Whose forwarded traffic is meant, one match per family; a family without blocks is left alone when the other has some. */
function sourcesOf(
  plan: CapturePlan,
  { interfaces, ipv4Sources, ipv6Sources }: ForwardedTraffic,
): readonly (FamilyListener & { readonly match: string })[] {
  const arriving = interfaces.length === 0 ? [] : [`iifname { ${interfaces.map((name) => `"${name}"`).join(', ')} }`];
  const everyone = ipv4Sources.length + ipv6Sources.length === 0;
  return familiesOf(plan).flatMap(({ family, listen }) => {
    const blocks = family === 4 ? ipv4Sources : ipv6Sources;
    if (blocks.length === 0 && !everyone) return [];
    const keyword = family === 4 ? 'ip' : 'ip6';
    const from = blocks.length === 0 ? anyOf(family) : `${keyword} saddr { ${blocks.join(', ')} }`;
    return [{ family, listen, match: [...arriving, from].join(' ') }];
  });
}

function anyOf(family: 4 | 6): string {
  return `meta nfproto ipv${family}`;
}

function leaveExcepted({ exceptUsers, exceptMarks }: LocalTraffic): readonly string[] {
  return [
    ...exceptUsers.map((user) => `meta skuid ${/^\d+$/.test(user) ? user : `"${user}"`} accept`),
    ...exceptMarks.map((mark) => `meta mark & ${mark} == ${mark} accept`),
  ];
}

/** Whether a listener takes connections at every address. */
export function isWildcard(ip: string): boolean {
  return ip === '0.0.0.0' || ip === '::';
}
