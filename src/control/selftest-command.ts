import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type LoadedConfig, loadConfig } from '../config/load.ts';
import { problemText } from '../config/problem.ts';
import { FlowFailure } from '../core/failures.ts';
import { Farm } from '../selftest/farm.ts';
import { type Judgement, judge } from '../selftest/judge.ts';
import { caseClasses, type OriginCase } from '../selftest/origin-case.ts';
import { reportOf, reportText } from '../selftest/report.ts';
import { openResponder, type Responder } from '../selftest/responder.ts';
import { runSelftest, type SelftestOptions } from '../selftest/run-selftest.ts';
import type { CommandIo } from './command-io.ts';
import { exitCodes } from './exit-codes.ts';
import { FarmWarnings } from './farm-warnings.ts';
import { Interrupts } from './interrupts.ts';
import { gatewayEnvironment } from './prepare-process.ts';
import { ownAuthority, type TestedGateway, testOwn, testRunning } from './selftest-gateway.ts';
import { keptRoots } from './selftest-root.ts';

const defaultConfig = 'config/daylight.yaml';

export const selftestHelp = `Usage: daylight selftest [--config FILE] [--running [--root DIR]] [--class NAME]... [--json | --verbose]

Opens good and bad origins on the loopback, sends a client to each through a gateway, and tells which bad ones it let
pass, which good ones it refused, and how many application bytes reached a bad one. Nothing leaves this machine.

By default the gateway is one of its own that ends with the test. It follows the configuration in all that judges
origins (tls, originTrust, originExceptions, onOriginFailure, http ...), trusts the root of the test besides, and has its
own CA and records. Left out is what would keep the client from the test's origins: listeners, assets, bypass, refuse,
rules, upstream.

Options:
  --config FILE   configuration (default ${defaultConfig}, if there is one)
  --running       test the gateway that runs by the configuration, through its explicit listener. It does not trust the
                  root of the test, and nothing here changes that: then only bad origins are tried, and most are refused
                  for their root alone
  --root DIR      with --running: roots that are kept in DIR, made there at the first time. When the gateway's operator
                  has put DIR/selftest-root.pem into originTrust.files, everything is tried. They vouch for names below
                  selftest.invalid and for the loopback alone, and expire after a week; take them out afterwards
  --json          the whole report as JSON
  --verbose       every origin, not only those that did not pass
  --help          this text

Exit codes: 0 grade A, 1 any other grade, 2 wrong usage, 3 configuration not valid, 125 no gateway to test.
`;

interface Options {
  readonly configFile: string | undefined;
  readonly config: LoadedConfig | undefined;
  readonly running: boolean;
  readonly root: string | undefined;
  /** Which are tried; all when left out. */
  readonly classes: readonly string[] | undefined;
  readonly json: boolean;
  readonly verbose: boolean;
  /** For temporary files. */
  readonly directory: string;
}

/** The `selftest` command: resolves with its exit code. */
export async function runSelftestCommand(args: readonly string[], io: CommandIo): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      config: { type: 'string' },
      running: { type: 'boolean', default: false },
      root: { type: 'string' },
      class: { type: 'string', multiple: true },
      json: { type: 'boolean', default: false },
      verbose: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    io.stdout.write(selftestHelp);
    return exitCodes.ok;
  }
  if (values.root !== undefined && !values.running) {
    io.stderr.write('daylight selftest: --root goes with --running\n');
    return exitCodes.usage;
  }
  const unknown = values.class?.find((name) => !caseClasses.some((known) => known === name));
  if (unknown !== undefined) {
    io.stderr.write(`daylight selftest: no class "${unknown}"; there are ${caseClasses.join(', ')}\n`);
    return exitCodes.usage;
  }
  const configFile = values.config ?? (existsSync(defaultConfig) ? defaultConfig : undefined);
  const config = configFile === undefined ? undefined : load(configFile, io);
  if (config === 'invalid') return exitCodes.config;
  const directory = mkdtempSync(join(tmpdir(), 'daylight-selftest-'));
  const run = test({ ...values, root: values.root, classes: values.class, configFile, config, directory }, io);
  return run.finally(() => rmSync(directory, { recursive: true, force: true }));
}

async function test(options: Options, io: CommandIo): Promise<number> {
  using interrupts = new Interrupts();
  using _warnings = new FarmWarnings();
  await using responder = options.running ? undefined : await openResponder();
  const farm = await farmFor(options, responder);
  const gateway = await gatewayFor(options, farm, interrupts, io);
  if (gateway === undefined) return interrupts.exitCode ?? exitCodes.gateway;
  const { proxy, ca } = gateway;
  const settings = { farm, proxy, ca, timeoutMs: 30_000, abort: interrupts.abort };
  const { judgements, notRun } = await judgedBy(gateway, settings, options).finally(() => gateway.stop());
  if (interrupts.exitCode !== undefined) return interrupts.exitCode;
  const report = reportOf(gateway.description, judgements, notRun);
  io.stdout.write(options.json ? `${JSON.stringify(report, null, 2)}\n` : reportText(report, options.verbose));
  return report.grade === 'A' ? exitCodes.ok : exitCodes.failed;
}

async function farmFor({ root, directory }: Options, responder: Responder | undefined): Promise<Farm> {
  if (root !== undefined) return keptRoots(root);
  if (responder === undefined) return new Farm();
  return new Farm({ gatewayCa: await ownAuthority(directory), responder });
}

async function gatewayFor(
  { running, config, configFile, directory }: Options,
  { trustedPem }: Farm,
  { abort }: Interrupts,
  io: CommandIo,
): Promise<TestedGateway | undefined> {
  try {
    if (!running) {
      return await testOwn({ directory, configFile, rootsPem: trustedPem, env: gatewayEnvironment(io.env), abort });
    }
    const found = config && (await testRunning(config));
    if (found === undefined) io.stderr.write('daylight selftest: no gateway runs by this configuration\n');
    return found;
  } catch (error) {
    if (!(error instanceof FlowFailure)) throw error;
    io.stderr.write(`daylight selftest: the gateway does not start\n${error.detail}\n`);
    return undefined;
  }
}

interface Judged {
  readonly judgements: readonly Judgement[];
  readonly notRun: readonly string[];
}

/** A gateway that does not trust the farm refuses its good origins, and rightly so: they say nothing of it then. */
async function judgedBy(gateway: TestedGateway, settings: SelftestOptions, options: Options): Promise<Judged> {
  const { running, classes } = options;
  const isWanted = (origin: OriginCase): boolean => classes?.includes(origin.class) ?? true;
  const isFirst = (origin: OriginCase): boolean => origin.class === 'good' && origin.name === 'ECDSA P-256';
  const trusts =
    !running || (await judged(gateway, { ...settings, include: isFirst })).every(({ verdict }) => verdict === 'passed');
  const askable = running
    ? ['revocation by CRL and OCSP responder: a running gateway asks nobody on the loopback']
    : [];
  if (trusts) return { judgements: await judged(gateway, { ...settings, include: isWanted }), notRun: askable };
  const include = (origin: OriginCase): boolean => isWanted(origin) && origin.class !== 'good';
  const notRun = [
    ...askable,
    'good origins: the gateway does not trust the root of the test (--root)',
    'reasons: a bad origin is refused for its root before its own fault is looked at',
  ];
  const judgements = (await judged(gateway, { ...settings, include })).map((each) => ({ ...each, otherReason: false }));
  return { judgements, notRun };
}

async function judged(gateway: TestedGateway, settings: SelftestOptions): Promise<readonly Judgement[]> {
  const trials = await runSelftest(settings);
  const codes = await gateway.codes(trials.map(({ experience }) => experience.ports));
  return trials.map((trial) => judge({ ...trial, code: codes.of(trial.experience.ports) }));
}

function load(file: string, io: CommandIo): LoadedConfig | 'invalid' {
  const outcome = loadConfig(file);
  if (outcome.kind === 'loaded') return outcome.config;
  io.stderr.write(`${outcome.problems.map(problemText).join('\n')}\n`);
  return 'invalid';
}
