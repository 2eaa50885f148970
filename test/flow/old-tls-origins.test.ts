import { getDiffieHellman } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { FlowFacts } from '../../src/core/record.ts';
import { integer, sequence, unsignedInteger } from '../../src/pki/der-writer.ts';
import { pemOf } from '../../src/pki/pem.ts';
import { labDirectory, labKey, labLeaf, labRoot } from '../pki/support/lab.ts';
import { type OpensslServer, opensslServer } from '../pki/support/origins.ts';
import { startDataPlane, type TestDataPlane } from '../support/data-plane.ts';
import { waitUntil } from '../support/gateway.ts';
import { type Heard, talk } from '../support/raw-client.ts';
import { hasProgram } from '../support/run.ts';

const root = labRoot();
const leaf = labLeaf(root, { names: ['localhost'], key: labKey('rsa2048'), keyUsage: [0, 2] });
const request = 'GET /secret HTTP/1.1\r\nHost: localhost\r\n\r\n';

describe.runIf(hasProgram('openssl'))('origins of OpenSSL with TLS of long ago, through a flow', () => {
  let plane: TestDataPlane;
  let dhePlane: TestDataPlane;
  beforeAll(async () => {
    plane = await startDataPlane({ originTrust: { rootsPem: [root.pem] } });
    dhePlane = await startDataPlane({
      originTrust: { rootsPem: [root.pem] },
      originExceptions: [{ hosts: ['localhost'], allow: ['dhe-key-exchange'], reason: 'old device' }],
    });
  });
  afterAll(async () => {
    await plane?.[Symbol.asyncDispose]();
    await dhePlane?.[Symbol.asyncDispose]();
  });

  const any = 'ALL:@SECLEVEL=0';
  test.each<[string, readonly string[], string]>([
    ['static RSA', ['-cipher', 'AES128-GCM-SHA256'], 'ORIGIN_HANDSHAKE_FAILED'],
    ['static RSA with CBC', ['-cipher', 'AES128-SHA:AES256-SHA'], 'ORIGIN_HANDSHAKE_FAILED'],
    ['DHE', ['-cipher', 'DHE-RSA-AES128-GCM-SHA256'], 'ORIGIN_HANDSHAKE_FAILED'],
    ['signatures with SHA-1', ['-cipher', any, '-sigalgs', 'RSA+SHA1'], 'ORIGIN_HANDSHAKE_FAILED'],
    ['a group that was not offered', ['-cipher', any, '-groups', 'P-224'], 'ORIGIN_HANDSHAKE_FAILED'],
  ])('%s is refused, and nothing of the client is sent', async (_, args, code) => {
    const origin = await opensslServer({ leaf }, ['-tls1_2', ...args]);
    const { flow } = await through(plane, origin);
    expect(flow.failure).toBe(code);
    expect(origin.printed()).not.toContain('secret');
  });

  test('a Diffie-Hellman group of 1024 bits is refused where an exception allows DHE, and one of 2048 is not', async () => {
    const dhe = ['-tls1_2', '-cipher', 'DHE-RSA-AES128-GCM-SHA256:@SECLEVEL=0'];
    const small = await opensslServer({ leaf }, [...dhe, '-dhparam', groupFile('modp2')]);
    expect((await through(dhePlane, small)).flow.failure).toBe('ORIGIN_TLS_TOO_WEAK');
    expect(small.printed()).not.toContain('secret');
    const large = await opensslServer({ leaf }, [...dhe, '-dhparam', groupFile('modp14'), '-www']);
    expect((await through(dhePlane, large)).flow.failure).toBeUndefined();
  });

  test.each(['R', 'r'])('renegotiation that the origin begins (%s) is refused', async (command) => {
    const origin = await opensslServer({ leaf }, ['-tls1_2']);
    const over = through(plane, origin);
    await waitUntil(
      () => origin.printed().includes('secret'),
      () => origin.printed(),
    );
    origin.type(command);
    const { flow, heard } = await over;
    expect(flow.failure).toBe('ORIGIN_GONE');
    expect(heard.text).toContain('Daylight-Failure: ORIGIN_GONE');
    // The alert is a warning; it is OpenSSL that ends the session then, and what it prints of that may come later than the end.
    await expect.poll(origin.printed, { timeout: 10_000 }).toMatch(/no renegotiation/i);
    expect(origin.printed().match(/CIPHER is/g)).toHaveLength(1);
  });

  async function through(by: TestDataPlane, { port }: OpensslServer): Promise<{ flow: FlowFacts; heard: Heard }> {
    const before = by.flows.length;
    const heard = await talk(by.port, {
      before: `CONNECT localhost:${port} HTTP/1.1\r\nHost: localhost:${port}\r\n\r\n`,
      until: '\r\n\r\n',
      tls: { servername: 'localhost' },
      say: request,
    });
    await waitUntil(
      () => by.flows.length > before,
      () => 'the flow does not end',
    );
    const flow = by.flows[before];
    if (flow === undefined) throw new Error('no flow');
    return { flow, heard };
  }
});

/** Parameters of a well-known group. */
function groupFile(name: string): string {
  const path = join(labDirectory(), 'dh.pem');
  writeFileSync(path, pemOf('DH PARAMETERS', sequence(unsignedInteger(getDiffieHellman(name).getPrime()), integer(2))));
  return path;
}
