import { connect, type Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import type { RuleDocument } from '../../src/core/rule-document.ts';
import { startDataPlane } from '../support/data-plane.ts';
import { startOrigin } from '../support/https-origin.ts';

const noSecrets: RuleDocument = {
  id: 'no-secrets',
  title: 'no secrets',
  rev: 1,
  severity: 'high',
  action: 'block',
  tags: [],
  when: { field: 'http.path', contains: 'secret' },
  source: 'test:1',
};

/** Sends one request to the proxy and gives the status line of the answer. */
async function ask(client: Socket, host: string, path: string): Promise<string> {
  client.write(`GET http://${host}${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  let answer = '';
  for await (const chunk of client.iterator({ destroyOnReturn: false })) {
    answer += String(chunk);
    if (/\r\n\r\n[\s\S]*\n/.test(answer)) break;
  }
  return answer.slice(0, answer.indexOf('\r\n'));
}

describe('absolute-form requests on one connection', () => {
  it('are inspected by where each of them goes, not by where the one before it went', async () => {
    await using exempt = await startOrigin(undefined);
    await using inspected = await startOrigin(undefined);
    await using plane = await startDataPlane({
      bypass: [{ hosts: ['localhost'], addresses: [], assets: [], reason: 'privacy' }],
      rules: [noSecrets],
    });
    const client = connect(plane.port, '127.0.0.1');
    expect(await ask(client, `localhost:${exempt.port}`, '/secret-of-a-patient')).toBe('HTTP/1.1 200 OK');
    expect(await ask(client, `127.0.0.1:${inspected.port}`, '/secret')).toBe('HTTP/1.1 403 Forbidden');
    expect(inspected.requests).toEqual([]);
    expect(plane.transactions.map(({ request }) => request.target)).toEqual([
      `http://127.0.0.1:${inspected.port}/secret`,
    ]);
    client.destroy();
  });
});
