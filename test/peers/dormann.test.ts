import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type HostileGround, openHostileGround } from '../support/hostile-ground.ts';
import { startOrigin } from '../support/https-origin.ts';
import { talk } from '../support/raw-client.ts';

let ground: HostileGround;

beforeAll(async () => {
  ground = await openHostileGround();
});
afterAll(() => ground?.[Symbol.asyncDispose]());

const userAgents = [
  'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36',
  'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0',
  'curl/8.14.1',
  'Java/21.0.8',
  'python-requests/2.32.5',
  undefined,
];

describe('the verdict on a bad origin', () => {
  it('is the same whatever the User-Agent', async () => {
    await using origin = await startOrigin(await ground.authority.issue({ names: ['other.example'] }));
    const verdicts = new Set<string>();
    for (const agent of userAgents) {
      const field = agent === undefined ? '' : `User-Agent: ${agent}\r\n`;
      const from = ground.address();
      const { text, error } = await talk(ground.port, {
        // Where a proxy may see it, and where it may not.
        before: `CONNECT localhost:${origin.port} HTTP/1.1\r\nHost: localhost\r\n${field}\r\n`,
        until: '\r\n\r\n',
        tls: { servername: 'localhost' },
        say: `GET /secret HTTP/1.1\r\nHost: localhost\r\n${field}\r\n`,
        from,
      });
      verdicts.add(`${text} ${error} ${String(await ground.failureFrom(from))}`);
    }
    expect([...verdicts]).toEqual([' ERR_SSL_SSL/TLS_ALERT_BAD_CERTIFICATE ORIGIN_CERT_NAME_MISMATCH']);
    expect(origin.bytesReceived()).toBe(0);
    expect(origin.connections()).toBe(userAgents.length);
  });
});
