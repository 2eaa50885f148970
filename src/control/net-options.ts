import { parseArgs } from 'node:util';
import { cidr } from '../config/network-format.ts';
import type { ListenAddress } from '../core/policy.ts';
import type { ForwardedTraffic, LocalTraffic } from '../net/capture-rules.ts';

/** The command line is wrong; the message says how. */
export class UsageError extends Error {}

/** Where the listeners come from: a configuration file, or a port that is named on the command line. */
export type ListenerSource =
  | { readonly kind: 'config'; readonly file: string; readonly capture: 'redirect' | 'tproxy' | undefined }
  | { readonly kind: 'port'; readonly capture: 'redirect' | 'tproxy'; readonly listen: readonly ListenAddress[] };

export interface NetOptions {
  readonly action: 'up' | 'down' | 'show';
  readonly source: ListenerSource;
  readonly ports: readonly number[];
  readonly forwarded: ForwardedTraffic | undefined;
  readonly local: LocalTraffic | undefined;
  readonly refuseQuic: boolean;
  readonly ftpData: boolean;
  readonly dryRun: boolean;
}

const defaultPorts = '80,443';

export const netHelp = `Usage: daylight net up [OPTIONS]      send traffic through the transparent listeners
       daylight net down              remove all of it
       daylight net show [OPTIONS]    what is active; with --dry-run, what \`up\` would do

Programs nftables (one table of its own, inet daylight) and, for TPROXY, one routing rule and route for each family.
\`up\` replaces what an earlier \`up\` has set, in one transaction; \`down\` leaves nothing behind. What is addressed to
this host itself (its listeners, the admin address, SSH) is never captured. Needs root or CAP_NET_ADMIN.

Which listeners (from the configuration, unless a port is given):
  --config FILE         configuration (default config/daylight.yaml)
  --capture KIND        redirect or tproxy, when the configuration has listeners of both
  --redirect-port PORT  a REDIRECT listener on every address of this host
  --tproxy-port PORT    a TPROXY listener on every address of this host

Whose traffic (at least one):
  --from CIDR           forwarded for these clients; may be repeated, or a list with commas
  --interface NAME      forwarded, arriving on this interface; may be repeated
  --local               of programs on this host (REDIRECT only); needs --except-user or --except-mark

Which traffic:
  --ports LIST          TCP ports (default ${defaultPorts})
  --ftp-data            data connections of FTP too, on whatever port the origin names; implied by port 21 or 990
  --allow-quic          let QUIC (UDP 443) pass; it is refused otherwise, so that clients fall back to TCP
  --except-user NAME    with --local: programs of this user, such as the gateway's own, are left alone
  --except-mark NUMBER  with --local: packets with this mark are left alone

  --dry-run             print the commands, change nothing
  --help                this text

Exit codes: 0 done, 1 a system tool is missing, lacks a privilege or failed, 2 wrong usage, 3 configuration not valid.
`;

/** Reads the command line; undefined when help is asked for. Throws UsageError. */
export function parseNetOptions(args: readonly string[]): NetOptions | undefined {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      config: { type: 'string' },
      capture: { type: 'string' },
      'redirect-port': { type: 'string' },
      'tproxy-port': { type: 'string' },
      from: { type: 'string', multiple: true, default: [] },
      interface: { type: 'string', multiple: true, default: [] },
      local: { type: 'boolean', default: false },
      ports: { type: 'string', default: defaultPorts },
      'ftp-data': { type: 'boolean', default: false },
      'allow-quic': { type: 'boolean', default: false },
      'except-user': { type: 'string', multiple: true, default: [] },
      'except-mark': { type: 'string', multiple: true, default: [] },
      'dry-run': { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return undefined;
  const ports = [...new Set(listOf([values.ports]).map(portOf))];
  return {
    action: actionOf(positionals),
    source: sourceOf(values),
    ports,
    ftpData: values['ftp-data'] || ports.includes(21) || ports.includes(990),
    forwarded: forwardedOf(values.from, values.interface),
    local: localOf(values.local, values['except-user'], values['except-mark']),
    refuseQuic: !values['allow-quic'],
    dryRun: values['dry-run'],
  };
}

function actionOf(positionals: readonly string[]): NetOptions['action'] {
  const [action, ...rest] = positionals;
  if (rest.length > 0) throw new UsageError(`unexpected argument "${rest[0]}"`);
  if (action === 'up' || action === 'down' || action === 'show') return action;
  throw new UsageError(
    action === undefined ? 'say up, down or show' : `unknown action "${action}": say up, down or show`,
  );
}

interface SourceValues {
  readonly config?: string | undefined;
  readonly capture?: string | undefined;
  readonly 'redirect-port'?: string | undefined;
  readonly 'tproxy-port'?: string | undefined;
}

function sourceOf(values: SourceValues): ListenerSource {
  const redirect = values['redirect-port'];
  const tproxy = values['tproxy-port'];
  const capture = captureOf(values.capture);
  const port = redirect ?? tproxy;
  if (port === undefined) return { kind: 'config', file: values.config ?? 'config/daylight.yaml', capture };
  if (redirect !== undefined && tproxy !== undefined) {
    throw new UsageError('--redirect-port and --tproxy-port exclude each other');
  }
  if (values.config !== undefined || capture !== undefined) {
    throw new UsageError('a port on the command line takes the place of --config and --capture');
  }
  const number = portOf(port);
  return {
    kind: 'port',
    capture: redirect === undefined ? 'tproxy' : 'redirect',
    listen: [{ ip: '::', port: number }],
  };
}

function captureOf(text: string | undefined): 'redirect' | 'tproxy' | undefined {
  if (text === undefined || text === 'redirect' || text === 'tproxy') return text;
  throw new UsageError('--capture is redirect or tproxy');
}

function forwardedOf(from: readonly string[], interfaces: readonly string[]): ForwardedTraffic | undefined {
  const blocks = listOf(from).map((text) => {
    const block = cidr.parse(text);
    if (block.kind === 'value') return block.value;
    throw new UsageError(`--from ${text}: not a block of addresses such as 10.1.0.0/24 (${block.message})`);
  });
  const names = listOf(interfaces);
  // As the kernel allows (15 bytes), less what would end a string in a script; `*` at the end means any.
  const wrong = names.find((name) => !/^[\w.@:-]{1,15}\*?$/.test(name));
  if (wrong !== undefined) throw new UsageError(`--interface ${wrong}: not the name of an interface`);
  if (blocks.length + names.length === 0) return undefined;
  const ofFamily = (family: 4 | 6) => blocks.filter((block) => block.includes(':') === (family === 6));
  return { interfaces: names, ipv4Sources: ofFamily(4), ipv6Sources: ofFamily(6) };
}

function localOf(local: boolean, users: readonly string[], marks: readonly string[]): LocalTraffic | undefined {
  const exceptUsers = listOf(users);
  const exceptMarks = listOf(marks).map(markOf);
  const wrong = exceptUsers.find((user) => !/^[a-z0-9_][a-z0-9_.-]{0,31}$/i.test(user));
  if (wrong !== undefined) throw new UsageError(`--except-user ${wrong}: not the name or number of a user`);
  const excepted = exceptUsers.length + exceptMarks.length > 0;
  if (!local && excepted) throw new UsageError('--except-user and --except-mark go with --local');
  if (!local) return undefined;
  if (excepted) return { exceptUsers, exceptMarks };
  throw new UsageError(
    '--local needs --except-user (the user that the gateway runs as) or --except-mark: ' +
      'without, the gateway would capture its own connections to origins for ever',
  );
}

function listOf(values: readonly string[]): readonly string[] {
  return values.flatMap((value) => value.split(',')).map((part) => part.trim());
}

function portOf(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port >= 1 && port <= 65_535) return port;
  throw new UsageError(`"${text}" is not a port`);
}

function markOf(text: string): number {
  const mark = /^(?:0x[0-9a-f]{1,8}|\d{1,10})$/i.test(text) ? Number(text) : 0;
  if (mark >= 1 && mark <= 0xffffffff) return mark;
  throw new UsageError(`--except-mark ${text}: not a mark such as 0x2`);
}
