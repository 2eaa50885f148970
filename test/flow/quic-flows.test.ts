import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { limits } from '../../src/core/limits.ts';
import type { TransparentListener } from '../../src/core/policy.ts';
import type { FlowFacts, Recorder } from '../../src/core/record.ts';
import { compilePolicy } from '../../src/flow/policy-snapshot.ts';
import { QuicFlows } from '../../src/flow/quic-flows.ts';
import { clientHello, serverNames } from '../codec/hello-builder.ts';
import { policyDocument } from '../support/policy.ts';
import { quicHello } from '../support/quic-initial.ts';

const policy = compilePolicy(policyDocument());
const listener = {
  id: 'transparent',
  mode: 'transparent',
  listen: { ip: '127.0.0.1', port: 8443 },
  trustedProxies: [],
} as unknown as TransparentListener;
const hello = quicHello(clientHello({ extensions: [serverNames('quic.example')] }));
/** Looks like an Initial packet as far as its header goes, but no key opens it. */
const junk = Buffer.from(hello);
junk[junk.length - 1] = (junk.at(-1) ?? 0) ^ 1;

let recorded: FlowFacts[];
let flows: QuicFlows;
beforeEach(() => {
  vi.useFakeTimers();
  recorded = [];
  flows = new QuicFlows(() => policy, { flowEnd: (flow: FlowFacts) => recorded.push(flow) } as unknown as Recorder);
});
afterEach(() => vi.useRealTimers());

const send = (datagram: Buffer, port: number): Buffer | undefined =>
  flows.receive(listener, datagram, { ip: '192.0.2.1', port });

describe('datagrams of QUIC clients', () => {
  it('are opened so many times in a second, and beyond it refused by their header alone', () => {
    for (let port = 1; port <= limits.quicOpenedPerSecond; port += 1) expect(send(junk, port)).toBeUndefined();
    // No key was made for these: they are not known to be none.
    expect(send(junk, 60_000)).toBeDefined();
    expect(send(hello, 60_001)).toBeDefined();
    expect(recorded).toHaveLength(0);
    vi.advanceTimersByTime(1_000);
    expect(send(junk, 60_000)).toBeUndefined();
    expect(send(hello, 60_001)).toBeDefined();
    expect(recorded.map(({ serverName }) => serverName)).toEqual(['quic.example']);
  });

  it('of a client that is recorded cost no key, and are refused all the same', () => {
    expect(send(hello, 1)).toBeDefined();
    expect(recorded).toHaveLength(1);
    expect(send(junk, 1)).toEqual(send(hello, 1));
    expect(send(Buffer.alloc(1_200, 0xc0), 1)).toBeUndefined();
    expect(recorded).toHaveLength(1);
  });
});
