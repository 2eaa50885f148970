import { fileURLToPath } from 'node:url';
import { codewordRule } from './codeword.ts';
import { type RunningGateway, startGateway } from './gateway.ts';
import { createTestNetwork, type Host, type TestNetwork } from './netns.ts';
import { run } from './run.ts';
import type { TestAuthority } from './test-authority.ts';

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const removeEverything =
  'nft flush ruleset; ip rule del fwmark 0x1 2>/dev/null; ip -6 rule del fwmark 0x1 2>/dev/null; true';

/** A client and an origin in networks of their own, and a gateway between that captures files in each way there is. */
export interface FilesNetwork extends AsyncDisposable {
  readonly network: TestNetwork;
  readonly gateway: RunningGateway;
  /** Goes over to another way of capture. */
  capture(way: (typeof captures)[number]): Promise<void>;
  inClient(command: string, ...args: readonly string[]): ReturnType<typeof run>;
}

export const families = [
  { family: 'IPv4', pick: ({ ipv4 }: Host) => ipv4 },
  { family: 'IPv6', pick: ({ ipv6 }: Host) => ipv6 },
] as const;

export const captures = [
  { kind: 'redirect', option: 'redirect', port: 8443 },
  { kind: 'tproxy', option: 'tproxy', port: 9443 },
  { kind: 'tproxy that shows origins the client', option: 'tproxy', port: 9444 },
] as const;

/** `ports` are those of the origin that are captured, `files` is the policy on them; a rule blocks content with the word falcon-seven. */
export async function startFilesNetwork(
  authority: TestAuthority,
  ports: readonly number[],
  files: object = {},
  more: object = {},
): Promise<FilesNetwork> {
  const network = await createTestNetwork();
  const listener = (port: number, capture: string, more: object = {}) => ({
    mode: 'transparent',
    listen: `[::]:${port}`,
    capture,
    ...more,
  });
  try {
    const gateway = await startGateway({
      namespace: network.gateway.name,
      files: {
        'root.pem': authority.rootPem,
        'ftp.yaml': codewordRule,
      },
      config: {
        rules: { files: ['$DIRECTORY/ftp.yaml'] },
        files,
        listeners: [
          listener(8443, 'redirect'),
          listener(9443, 'tproxy'),
          listener(9444, 'tproxy', { spoofClient: true }),
        ],
        originTrust: { system: false, files: ['$DIRECTORY/root.pem'] },
        timeouts: { drain: '2s' },
        ...more,
      },
    });
    return filesNetwork(network, gateway, ports);
  } catch (error) {
    await network[Symbol.asyncDispose]();
    throw error;
  }
}

function filesNetwork(network: TestNetwork, gateway: RunningGateway, ports: readonly number[]): FilesNetwork {
  return {
    network,
    gateway,
    async capture({ option, port }) {
      await network.gateway.run('sh', '-c', removeEverything);
      const up = ['net', 'up', `--${option}-port`, String(port), '--interface', 'lan0', '--ports', ports.join()];
      await network.gateway.run(process.execPath, main, ...up);
    },
    inClient: (command, ...args) =>
      run('ip', ['netns', 'exec', network.client.name, command, ...args], { timeoutMs: 30_000 }),
    async [Symbol.asyncDispose]() {
      await network.gateway.run('sh', '-c', removeEverything);
      await gateway[Symbol.asyncDispose]();
      await network[Symbol.asyncDispose]();
    },
  };
}
