import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { relayEntry } from '../../src/control/relay-child.ts';
import type { FromRelay } from '../../src/core/ipc.ts';
import { freePort } from '../support/gateway.ts';
import { policyDocument } from '../support/policy.ts';
import { sleep } from '../support/tcp.ts';

/** A fault of our own, on demand. */
const faulty = 'process.on("message", ({ kind }) => { if (kind === "fault") throw new Error("nobody expects this"); })';

it('a relay that meets an error nobody caught records its flows, says why, and ends', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'daylight-relay-'));
  const port = await freePort();
  const document = policyDocument();
  const listeners = document.listeners.map((listener) => ({ ...listener, listen: { ip: '127.0.0.1', port } }));
  const relay = fork(relayEntry, [], {
    execArgv: ['--import', `data:text/javascript,${encodeURIComponent(faulty)}`],
    serialization: 'advanced',
  });
  const messages: FromRelay[] = [];
  relay.on('message', (message: FromRelay) => messages.push(message));
  relay.send({
    kind: 'start',
    slot: 0,
    writer: 0,
    policy: { ...document, listeners, records: { ...document.records, directory } },
    descriptors: {},
    ticketKeys: new Uint8Array(48),
    learned: [],
    expected: [],
  });
  await expect.poll(() => messages.some(({ kind }) => kind === 'ready'), { timeout: 10_000 }).toBe(true);
  const client = connect(port, '127.0.0.1').on('error', () => {});
  await once(client, 'connect');
  await sleep(200);
  relay.send({ kind: 'fault' });
  expect(await once(relay, 'exit')).toEqual([1, null]);
  expect(messages).toContainEqual({
    kind: 'problem',
    code: 'GATEWAY_RELAY_CRASHED',
    message: expect.stringContaining('nobody expects this'),
  });
  const [record, ...others] = readFileSync(join(directory, 'traffic-0.ndjson'), 'utf8').trim().split('\n');
  expect(JSON.parse(record ?? '')).toMatchObject({ status_code: 'GATEWAY_RELAY_CRASHED' });
  expect(others).toEqual([]);
  client.destroy();
  rmSync(directory, { recursive: true });
});
