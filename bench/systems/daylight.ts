import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Child, launch } from '../child.ts';
import { responseRules } from '../response-rules.ts';
import type { Site } from '../site.ts';
import type { System } from '../system.ts';

const repository = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const program = join(repository, 'bin', 'daylight.js');
const explicitPort = 18_107;
const reversePort = 18_108;
const bodiesPort = 18_109;

/** Daylight as an explicit proxy: starter rules, both logs, one relay. */
export const daylight: System = {
  name: 'daylight',
  title: 'Daylight (explicit, starter rules, records on)',
  compilesAsItRuns: true,
  version,
  async start(site, folder) {
    const listener = `{ mode: explicit, listen: "127.0.0.1:${explicitPort}" }`;
    const child = await startDaylight(site, folder, listener, explicitPort);
    return {
      child,
      port: explicitPort,
      http2Port: explicitPort,
      mode: 'connect',
      caFile: join(folder, 'authority', 'ca.pem'),
    };
  },
};

/** The same before one published origin: no CONNECT, as SSLsplit and HAProxy run here. */
export const daylightReverse: System = {
  name: 'daylight-reverse',
  title: 'Daylight (reverse, starter rules, records on)',
  compilesAsItRuns: true,
  version,
  async start(site, folder) {
    const origin = `${site.host}:${site.originPort}`;
    const listener = `{ mode: reverse, listen: "127.0.0.1:${reversePort}", origin: "${origin}" }`;
    const child = await startDaylight(site, folder, listener, reversePort);
    return {
      child,
      port: reversePort,
      http2Port: reversePort,
      mode: 'direct',
      caFile: join(folder, 'authority', 'ca.pem'),
    };
  },
};

/** The same with rules that read every response to its end: detectors of numbers and keys, and literals. */
export const daylightBodies: System = {
  name: 'daylight-bodies',
  title: 'Daylight (explicit, responses read in full, records on)',
  compilesAsItRuns: true,
  version,
  async start(site, folder) {
    writeFileSync(join(folder, 'bodies.yaml'), responseRules);
    const listener = `{ mode: explicit, listen: "127.0.0.1:${bodiesPort}" }`;
    const child = await startDaylight(site, folder, listener, bodiesPort, `, "${folder}/bodies.yaml"`);
    return { child, port: bodiesPort, mode: 'connect', caFile: join(folder, 'authority', 'ca.pem') };
  },
};

function version(): string | undefined {
  if (!existsSync(program)) return undefined;
  const { version: number } = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8')) as { version: string };
  return `Daylight ${number} on Node ${process.versions.node}`;
}

function startDaylight(site: Site, folder: string, listener: string, port: number, rules = ''): Promise<Child> {
  const file = join(folder, 'daylight.yaml');
  mkdirSync(join(folder, 'records'));
  const configuration = `
listeners:
  - ${listener}
authority:   { directory: "${folder}/authority" }
originTrust: { system: false, files: ["${site.originCa}"] }
rules:       { files: ["${repository}/config/rules/*.yaml"${rules}] }
records:     { directory: "${folder}/records" }
relays:      ${process.env.DAYLIGHT_BENCH_RELAYS ?? 1}
`;
  writeFileSync(file, configuration);
  return launch({
    command: process.execPath,
    args: [program, 'start', '--config', file],
    log: join(folder, 'log'),
    port,
    readyLine: 'ready',
  });
}
