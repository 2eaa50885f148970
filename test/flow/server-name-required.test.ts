import { once } from 'node:events';
import { connect as connectTls } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { PolicyDocument } from '../../src/core/policy.ts';
import { startDataPlane } from '../support/data-plane.ts';
import { startOrigin, type TestOrigin } from '../support/https-origin.ts';
import { policyDocument } from '../support/policy.ts';
import { createTestAuthority, type TestAuthority } from '../support/test-authority.ts';
import { openTunnel } from '../support/tunnel.ts';

let authority: TestAuthority;
let origin: TestOrigin;

beforeAll(async () => {
  authority = await createTestAuthority();
  origin = await startOrigin(await authority.issue({ names: ['localhost', '127.0.0.1'] }));
});
afterAll(() => origin?.[Symbol.asyncDispose]());

/** Visits the origin; gives the error of the handshake, or the issuer that was shown, and the failure of the flow. */
async function visit(servername: string | undefined, changes: Partial<PolicyDocument>) {
  await using plane = await startDataPlane({ originTrust: { rootsPem: [authority.rootPem] }, ...changes });
  const socket = await openTunnel(plane.port, `127.0.0.1:${origin.port}`);
  const client = connectTls({ socket, rejectUnauthorized: false, ...(servername === undefined ? {} : { servername }) });
  const outcome = await once(client, 'secureConnect').then(
    () => client.getPeerX509Certificate()?.issuer ?? '',
    (error: NodeJS.ErrnoException) => error.message,
  );
  client.destroy();
  await expect.poll(() => plane.flows.length).toBe(1);
  return { outcome, failure: plane.flows[0]?.failure };
}

const required = { tls: { ...policyDocument().tls, requireServerName: true } };

describe('a ClientHello without a server name', () => {
  it('is refused where policy demands one, before the origin hears of TLS', async () => {
    const bytes = origin.bytesReceived();
    const { outcome, failure } = await visit(undefined, required);
    // missing_extension (RFC 8446 section 9.2).
    expect(outcome).toMatch(/alert missing extension|alert number 109/i);
    expect(failure).toBe('POLICY_SERVER_NAME_MISSING');
    expect(origin.bytesReceived()).toBe(bytes);
  });

  it('passes where policy leaves its destination alone', async () => {
    const bypass = [{ hosts: [], addresses: ['127.0.0.1/32'], assets: [], reason: 'partner' }];
    const { outcome, failure } = await visit(undefined, { ...required, bypass });
    expect(outcome).toContain('Test Root');
    expect(failure).not.toBe('POLICY_SERVER_NAME_MISSING');
  });

  it('is intercepted by default', async () => {
    expect((await visit(undefined, {})).outcome).toContain('Daylight');
  });
});

it('one with a server name is intercepted where policy demands it', async () => {
  expect((await visit('localhost', required)).outcome).toContain('Daylight');
});
