import { readFileSync } from 'node:fs';
import { freePort, type RunningGateway, startGateway } from './gateway.ts';
import { startOrigin, type TestOrigin } from './https-origin.ts';
import { failureOf, flowOf, isFlow, isTransaction, type Line, member } from './record-fields.ts';
import { type SteadyClient, startSteadyClient } from './steady-client.ts';
import { type Credentials, createTestAuthority, type TestAuthority } from './test-authority.ts';

/** A gateway with short time limits, a good origin, and a client that behaves all the time. */
export interface HostileGround extends AsyncDisposable {
  readonly authority: TestAuthority;
  readonly credentials: Credentials;
  readonly origin: TestOrigin;
  readonly gateway: RunningGateway;
  /** The gateway's CA (PEM). */
  readonly gatewayCa: string;
  /** Port of the explicit listener. */
  readonly port: number;
  readonly steady: SteadyClient;
  /** A client address of its own for a test, by which its records are found. */
  readonly address: () => string;
  /** What is recorded of the flow from an address, once it is over. */
  readonly flowFrom: (address: string) => Promise<Line>;
  /** The transactions of that flow. */
  readonly transactionsFrom: (address: string) => Promise<readonly Line[]>;
  readonly failureFrom: (address: string) => Promise<unknown>;
  /** Sum of a metric's series, as the admin address gives it; a second old at most. */
  readonly metric: (name: string) => Promise<number>;
}

/** Time limits under which a test of a stalled peer is done soon. */
export const shortTimeouts = { opening: '1s', connect: '1s', handshake: '1s', idle: '2s', drain: '2s' };
/** Names that the good origin's certificate covers. */
const coveredNames = ['localhost', '127.0.0.1', 'a.example', '*.wild.example'];

/** Prepares it; `config` is added to the configuration, with more listeners before the explicit one, `files` beside it. */
export async function openHostileGround(
  config: { readonly listeners?: readonly object[]; readonly [key: string]: unknown } = {},
  files: Readonly<Record<string, string>> = {},
): Promise<HostileGround> {
  const authority = await createTestAuthority();
  const credentials = await authority.issue({ names: coveredNames });
  const origin = await startOrigin(credentials);
  const port = await freePort();
  const adminPort = await freePort();
  const { listeners = [], ...more } = config;
  const gateway = await startGateway({
    files: { ...files, 'roots.pem': authority.rootPem },
    config: {
      originTrust: { system: false, files: ['$DIRECTORY/roots.pem'] },
      timeouts: shortTimeouts,
      admin: { listen: `127.0.0.1:${adminPort}` },
      ...more,
      listeners: [...listeners, { mode: 'explicit', listen: `127.0.0.1:${port}` }],
    },
  });
  const ca = readFileSync(gateway.caFile, 'utf8');
  const steady = startSteadyClient({ proxyPort: port, originPort: origin.port, ca });
  let addresses = 1;
  const flowFrom = async (address: string): Promise<Line> => {
    const isTheirs = (line: Line): boolean => isFlow(line) && member(line, 'src_endpoint', 'ip') === address;
    const lines = await gateway.waitForRecords('traffic', (all) => all.some(isTheirs));
    return lines.find(isTheirs) ?? {};
  };
  return {
    authority,
    credentials,
    origin,
    gateway,
    gatewayCa: ca,
    port,
    steady,
    address: () => `127.0.${2 + Math.floor(addresses / 250)}.${1 + (addresses++ % 250)}`,
    flowFrom,
    async transactionsFrom(address) {
      const flow = flowOf(await flowFrom(address));
      return gateway.records('traffic').filter((line) => isTransaction(line) && flowOf(line) === flow);
    },
    failureFrom: async (address) => failureOf(await flowFrom(address)),
    metric: async (name) => sumOf(name, await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text()),
    async [Symbol.asyncDispose]() {
      await steady.stop();
      await gateway[Symbol.asyncDispose]();
      await origin[Symbol.asyncDispose]();
    },
  };
}

function sumOf(name: string, exposition: string): number {
  const series = exposition.split('\n').filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`));
  return series.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
}
