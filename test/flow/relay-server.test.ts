import { randomBytes } from 'node:crypto';
import { connect, createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import type { FlowFacts } from '../../src/core/record.ts';
import { LeafStore } from '../../src/flow/leaf-store.ts';
import { compilePolicy } from '../../src/flow/policy-snapshot.ts';
import { serveRelay } from '../../src/flow/relay-server.ts';
import { freePort } from '../support/gateway.ts';
import { policyDocument } from '../support/policy.ts';
import { silentPort } from '../support/silent-port.ts';
import { listening, sleep } from '../support/tcp.ts';
import { openTunnel } from '../support/tunnel.ts';

interface Serving {
  readonly flowEnd?: (flow: FlowFacts) => void;
}

async function serve({ flowEnd }: Serving = {}) {
  const port = await freePort();
  const document = policyDocument();
  const listeners = document.listeners.map((listener) => ({ ...listener, listen: { ip: '127.0.0.1', port } }));
  const flows: FlowFacts[] = [];
  const problems: string[] = [];
  const server = serveRelay({
    policy: compilePolicy({ ...document, listeners }),
    descriptors: {},
    leafs: new LeafStore(() => Promise.reject(new Error('no leafs here')), randomBytes(48)),
    recorder: {
      flowEnd: flowEnd ?? ((flow) => flows.push(flow)),
      httpTransaction: () => {},
      messages: () => {},
      mail: () => {},
      transfer: () => {},
      alarm: () => {},
      isWritable: () => true,
      close: async () => {},
    },
    onProblem: (problem) => problems.push(problem),
  });
  await server.listening;
  return { port, server, flows, problems };
}

describe('a relay that drains', () => {
  it('ends at once when it is asked again, and has a record of every flow at whatever stage', async () => {
    const { port, server, flows } = await serve();
    const origin = createServer((socket) => socket.on('error', () => {}));
    const waiting = await openTunnel(port, `127.0.0.1:${await listening(origin)}`);
    const silent = connect(port, '127.0.0.1').on('error', () => {});
    await expect.poll(() => server.openFlows).toBe(2);
    const beganMs = performance.now();
    const drained = server.drain(60_000);
    await server.drain(0);
    await drained;
    expect(performance.now() - beganMs).toBeLessThan(5_000);
    expect(flows.map(({ failure }) => failure)).toEqual(['GATEWAY_SHUTTING_DOWN', 'GATEWAY_SHUTTING_DOWN']);
    waiting.destroy();
    silent.destroy();
    origin.close();
  });

  it('records flows that do not end in time, and records them once', async () => {
    const { port, server, flows } = await serve();
    await using origin = await silentPort('127.0.0.1');
    const client = connect(port, '127.0.0.1').on('error', () => {});
    client.write(`CONNECT 127.0.0.1:${origin.port} HTTP/1.1\r\nHost: 127.0.0.1:${origin.port}\r\n\r\n`);
    await expect.poll(() => server.openFlows).toBe(1);
    await sleep(100);
    await server.drain(0, 'GATEWAY_RELAY_CRASHED');
    expect(flows).toMatchObject([{ failure: 'GATEWAY_RELAY_CRASHED', destination: { port: origin.port } }]);
    await expect.poll(() => server.openFlows, { timeout: 5_000 }).toBe(0);
    expect(flows).toHaveLength(1);
    client.destroy();
  });
});

it('a record that cannot be made is told, and ends nothing else', async () => {
  const { port, server, problems } = await serve({
    flowEnd: () => {
      throw new TypeError('a fault in a record');
    },
  });
  const client = connect(port, '127.0.0.1').on('error', () => {});
  client.end('nonsense\r\n\r\n');
  await expect.poll(() => problems).toEqual([expect.stringContaining('a fault in a record')]);
  await server.drain(0);
});
