import { parseArgs } from 'node:util';
import { loadConfig } from '../config/load.ts';
import { problemText } from '../config/problem.ts';
import { duration } from '../config/quantity-format.ts';
import { FlowFailure } from '../core/failures.ts';
import type { CommandIo } from './command-io.ts';
import { askGateway, type ControlAnswer, controlSocketPath } from './control-socket.ts';
import { exitCodes } from './exit-codes.ts';
import type { LearnedEntry } from './learned-bypasses.ts';

export const bypassesHelp = `Usage: daylight bypasses list|approve|remove [ID...] [options]

Some clients pin the certificate of an origin and reject the one that the gateway shows. The running gateway notices them
and lets them pass unread only as policy says (learnedBypass: ask, bypass or refuse); here is what it knows. More:
docs/learned-bypass.md

Actions:
  list [--json]                what is watched, pending and active, with the last evidence
  approve ID... [--for TIME]   let flows of this client group to this host pass unread from now on, for TIME (default
                               learnedBypass.for; at most 7d)
  remove ID...                 inspect them again at once, and forget the evidence

Options:
  --config FILE     configuration (default config/daylight.yaml)
  --directory DIR   directory of the authority, where the control socket is; then no configuration is read
  --help            this text

The gateway answers on a socket that only its own user and root can open.
Exit codes: 0 done, 1 failed or no gateway answers, 2 wrong usage, 3 configuration not valid.
`;

/** The \`bypasses\` command: resolves with its exit code. */
export async function runBypasses(args: readonly string[], io: CommandIo): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      help: { type: 'boolean', default: false },
      config: { type: 'string', default: 'config/daylight.yaml' },
      directory: { type: 'string' },
      json: { type: 'boolean', default: false },
      for: { type: 'string' },
    },
  });
  const [action, ...ids] = positionals;
  if (values.help) {
    io.stdout.write(bypassesHelp);
    return exitCodes.ok;
  }
  const period = values.for === undefined ? undefined : duration.parse(values.for);
  const misuse = misuseOf(action, ids, period?.kind === 'wrong' ? period.message : undefined);
  if (misuse !== undefined) {
    io.stderr.write(`daylight bypasses: ${misuse}\nMore: daylight bypasses --help\n`);
    return exitCodes.usage;
  }
  const path = controlSocketPath(values.directory ?? directoryOf(values.config));
  try {
    if (action === 'list') return await list(path, values.json, io);
    const forMs = period?.kind === 'value' ? { forMs: period.value } : {};
    for (const id of ids) report(await askGateway(path, 'POST', `/bypasses/${action}`, { id, ...forMs }), action, io);
    return exitCodes.ok;
  } catch (error) {
    io.stderr.write(`daylight bypasses: ${error instanceof Error ? error.message : String(error)}\n`);
    return exitCodes.failed;
  }
}

function misuseOf(action: string | undefined, ids: readonly string[], period: string | undefined): string | undefined {
  if (action !== 'list' && action !== 'approve' && action !== 'remove') return 'list, approve or remove?';
  if (action === 'list') return ids.length === 0 ? undefined : 'list takes no id';
  return ids.length === 0 ? `${action} which id?` : period && `--for ${period}`;
}

function directoryOf(file: string): string {
  const outcome = loadConfig(file);
  if (outcome.kind === 'loaded') return outcome.config.authorityDirectory;
  throw new FlowFailure('GATEWAY_CONFIG_INVALID', outcome.problems.map(problemText).join('\n'));
}

async function list(path: string, json: boolean, io: CommandIo): Promise<number> {
  const { body } = await askGateway(path, 'GET', '/bypasses');
  const { action, bypasses } = body as { readonly action: string; readonly bypasses: readonly LearnedEntry[] };
  if (json) io.stdout.write(`${JSON.stringify(body, null, 2)}\n`);
  else
    io.stdout.write(
      [`policy: ${action}`, ...(bypasses.length === 0 ? [nothing] : bypasses.map(lineOf))]
        .map((line) => `${line}\n`)
        .join(''),
    );
  return exitCodes.ok;
}

const nothing = 'nothing learned: no client rejects the certificates of this gateway';

function lineOf({ id, state, by, group, host, port, untilMs, rejections, evidence }: LearnedEntry): string {
  const last = evidence.at(-1);
  const sign = last === undefined ? '' : `, last ${last.detail === '' ? last.sign : last.detail}`;
  const whose = state === 'active' ? `active (${by})` : state;
  return `${id}  ${whose.padEnd(17)} ${host}:${port}  ${group}  until ${new Date(untilMs).toISOString()}  ${rejections} rejections${sign}`;
}

function report({ status, body }: ControlAnswer, action: string | undefined, io: CommandIo): void {
  if (status !== 200) throw new Error((body as { readonly error: string }).error);
  const { group, host, port, untilMs } = body as LearnedEntry;
  const what = action === 'approve' ? `passes unread until ${new Date(untilMs).toISOString()}` : 'is inspected again';
  io.stdout.write(`${host}:${port} for ${group} ${what}\n`);
}
