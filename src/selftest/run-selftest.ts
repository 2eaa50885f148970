import type { ListenAddress } from '../core/policy.ts';
import { casesOf } from './cases/all-cases.ts';
import { type Farm, fingerprintOf } from './farm.ts';
import type { FarmOrigin } from './farm-origin.ts';
import type { OriginCase, OriginSetup } from './origin-case.ts';
import { type Experience, probe } from './probe.ts';
import { openScriptedOrigin } from './scripted-origin.ts';
import { openTampered } from './tampering.ts';
import { openTlsOrigin } from './tls-origin.ts';

export interface SelftestOptions {
  readonly farm: Farm;
  readonly proxy: ListenAddress;
  /** The gateway's CA (PEM). */
  readonly ca: string;
  /** Which of the farm's origins are tried; all when left out. */
  readonly include?: (origin: OriginCase) => boolean;
  /** Longest time that one origin may take. */
  readonly timeoutMs: number;
  /** Ends it between two origins. */
  readonly abort?: AbortSignal;
}

/** What became of one origin. */
export interface Trial {
  readonly case: OriginCase;
  readonly experience: Experience;
  readonly bytes: number;
}

/** Origins that are up at once. More would make each wait for the others' handshakes. */
const atOnce = 8;

/** Opens the origins of the farm, some at a time, and sends a client to each through the gateway; in the order of the cases. */
export async function runSelftest(options: SelftestOptions): Promise<readonly Trial[]> {
  const cases = casesOf(options.farm).filter((origin) => options.include?.(origin) ?? true);
  const trials = new Array<Trial | undefined>(cases.length);
  const next = cases.entries();
  const work = async (): Promise<void> => {
    for (const [index, origin] of next) {
      if (options.abort?.aborted) return;
      trials[index] = await tryOrigin(origin, options);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  return trials.filter((trial) => trial !== undefined);
}

async function tryOrigin(tried: OriginCase, options: SelftestOptions): Promise<Trial> {
  const setup = tried.open(options.farm);
  await using origin = await openSetup(setup);
  const experience = await probe({
    proxy: options.proxy,
    ca: options.ca,
    host: tried.host,
    originPort: origin.port,
    originFingerprint: fingerprintIn(setup),
    timeoutMs: options.timeoutMs,
  });
  return { case: tried, experience, bytes: origin.bytes() };
}

async function openSetup(setup: OriginSetup): Promise<FarmOrigin> {
  if (setup.kind === 'script') return openScriptedOrigin(setup.script);
  const origin = await openTlsOrigin(setup.credentials, setup.options);
  return setup.tamper === undefined ? origin : openTampered(origin, setup.tamper);
}

function fingerprintIn(setup: OriginSetup): string | undefined {
  const certificate = setup.kind === 'tls' ? setup.credentials?.certificates[0] : undefined;
  return certificate === undefined ? undefined : fingerprintOf(certificate);
}
