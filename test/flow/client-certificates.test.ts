import { chmodSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { OriginClientCertificate, PolicyDocument } from '../../src/core/policy.ts';
import type { FlowFacts } from '../../src/core/record.ts';
import { compilePolicy } from '../../src/flow/policy-snapshot.ts';
import { clientAuth, type LabCertificate, labCertificate, labLeaf, labRoot } from '../pki/support/lab.ts';
import { opensslOrigin } from '../pki/support/origins.ts';
import { startDataPlane, type TestDataPlane } from '../support/data-plane.ts';
import { waitUntil } from '../support/gateway.ts';
import { startNginx } from '../support/nginx.ts';
import { policyDocument } from '../support/policy.ts';
import { type Heard, talk } from '../support/raw-client.ts';
import { hasProgram } from '../support/run.ts';

const root = labRoot();
const clientRoot = labRoot();
const leaf = labLeaf(root, { names: ['localhost'] });
const ours = labCertificate(clientRoot, { commonName: 'gateway', purposes: [clientAuth], keyUsage: [0] });
const theirs = labCertificate(clientRoot, { commonName: 'client', purposes: [clientAuth], keyUsage: [0] });
const strange = labCertificate(labRoot(), { commonName: 'stranger', purposes: [clientAuth], keyUsage: [0] });

let directory: string;
const inDirectory = (name: string): string => join(directory, name);

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'daylight-client-'));
  writeFileSync(inDirectory('client-ca.pem'), clientRoot.pem);
  for (const [name, { pem, keyPem }] of Object.entries({ ours, strange })) {
    writeFileSync(inDirectory(`${name}.pem`), pem);
    writeFileSync(inDirectory(`${name}.key`), keyPem, { mode: 0o600 });
  }
});
afterAll(async () => {
  for (const plane of planes.values()) await plane[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
});

describe.runIf(hasProgram('openssl')).each(['-tls1_2', '-tls1_3'])('openssl s_server %s', (version) => {
  const demanding = () =>
    opensslOrigin({ leaf }, [version, '-Verify', '1', '-verify_return_error', '-CAfile', inDirectory('client-ca.pem')]);

  test('that demands a certificate is refused with a code of its own when there is none', async () => {
    const stage = await start({});
    await get(stage, await demanding());
    const flow = await flowOf(stage);
    expect(flow.failure).toBe('ORIGIN_CLIENT_CERT_REQUIRED');
    expect(flow.failureDetail).toMatch(/demands a certificate|was shown none/);
    expect(flow.bytesFromOrigin).toBe(0);
  });

  test('that demands a certificate gets the one configured for it', async () => {
    const stage = await start({ certificates: [certificate('ours')] });
    expect((await get(stage, await demanding())).text).toContain('200 ok');
    expect((await flowOf(stage)).originTls?.clientCertificate).toBe('offered');
  });

  test('that refuses the one configured for it is reported so', async () => {
    const stage = await start({ certificates: [certificate('strange')] });
    await get(stage, await demanding());
    const flow = await flowOf(stage);
    expect(flow.failure).toBe('ORIGIN_CLIENT_CERT_REQUIRED');
    // The alert, or where a reset overtook it what is left to say.
    expect(flow.failureDetail).toContain('configured for it');
  });

  test('that only asks is served without one', async () => {
    const stage = await start({});
    const port = await opensslOrigin({ leaf }, [version, '-verify', '1']);
    expect((await get(stage, port)).text).toContain('200 ok');
    const flow = await flowOf(stage);
    expect(flow.failure).toBeUndefined();
    expect(flow.originTls?.clientCertificate).toBe('asked');
  });

  test('that asks is passed by unread where policy says so, to the client with its own certificate', async () => {
    const stage = await start({ onDemand: 'bypass' });
    const port = await demanding();
    expect((await get(stage, port, theirs)).text).toContain('200 ok');
    const first = await flowOf(stage);
    expect(first.decision).toEqual({ kind: 'bypass', reason: 'origin failure: ORIGIN_CLIENT_CERT_REQUIRED' });
    expect(first.decrypted).toBe(false);
    expect((await get(stage, port, theirs)).text).toContain('200 ok');
    const second = await flowOf(stage, 2);
    expect(second.bypassedFailure?.detail).toBe('the origin asked for a certificate before');
    expect(stage.plane.leafsIssued()).toBe(stage.leafsBefore);
  });

  test('that does not ask is shown nothing', async () => {
    const stage = await start({ certificates: [certificate('ours')], onDemand: 'bypass' });
    expect((await get(stage, await opensslOrigin({ leaf }, [version]))).text).toContain('200 ok');
    const flow = await flowOf(stage);
    expect(flow.originTls?.clientCertificate).toBeUndefined();
    expect(flow.decision?.kind).toBe('intercept');
  });
});

describe.runIf(hasProgram('nginx'))('nginx with ssl_verify_client on', () => {
  const startDemanding = () =>
    startNginx(
      { cert: leaf.pem, key: leaf.keyPem },
      `ssl_client_certificate ${inDirectory('client-ca.pem')}; ssl_verify_client on; location / { return 200 "$ssl_client_s_dn"; }`,
    );

  test('gets the certificate configured for it, and says itself when there is none', async () => {
    await using nginx = await startDemanding();
    const stage = await start({ certificates: [certificate('ours')] });
    expect((await get(stage, nginx.port)).text).toContain('CN=gateway');
    const without = await start({});
    expect((await get(without, nginx.port)).text).toContain('No required SSL certificate was sent');
    expect((await flowOf(without)).originTls?.clientCertificate).toBe('asked');
  });

  test('is passed by unread where policy says so', async () => {
    await using nginx = await startDemanding();
    const stage = await start({ onDemand: 'bypass' });
    expect((await get(stage, nginx.port, theirs)).text).toContain('CN=client');
  });
});

describe('a certificate for origins', () => {
  test('is for its hosts and its assets, both where both are given', () => {
    const byHost = { ...certificate('ours'), hosts: ['a.example'], assets: [] };
    const byAsset = { ...certificate('ours'), hosts: [], assets: ['web'] };
    const byBoth = { ...certificate('ours'), hosts: ['*.b.example'], assets: ['db'] };
    const policy = compilePolicy(documentWith({ certificates: [byBoth, byHost, byAsset] }));
    expect(policy.clientCertificateFor('a.example', undefined)).toBe(byHost);
    expect(policy.clientCertificateFor('x.example', 'web')).toBe(byAsset);
    expect(policy.clientCertificateFor('x.b.example', 'db')).toBe(byBoth);
    expect(policy.clientCertificateFor('x.b.example', 'other')).toBeUndefined();
    expect(policy.clientCertificateFor('x.example', undefined)).toBeUndefined();
  });

  test('whose key others may read, or that is a link, is refused at load', () => {
    const wide = inDirectory('wide.key');
    writeFileSync(wide, ours.keyPem);
    chmodSync(wide, 0o640);
    const link = inDirectory('link.key');
    symlinkSync(inDirectory('ours.key'), link);
    const load = (keyFile: string) => () =>
      compilePolicy(documentWith({ certificates: [{ ...certificate('ours'), keyFile }] }));
    expect(load(wide)).toThrow('wide.key has mode 0640, wider than 0600');
    expect(load(link)).toThrow('link.key is a symbolic link');
    expect(load(inDirectory('strange.key'))).toThrow(/key values mismatch/i);
    expect(load(inDirectory('ours.key'))).not.toThrow();
  });
});

type Wishes = Partial<PolicyDocument['originClientCertificates']>;

function documentWith(wishes: Wishes): PolicyDocument {
  return policyDocument({
    originTrust: { rootsPem: [root.pem] },
    originClientCertificates: { onDemand: 'refuse', bypassMs: 60_000, certificates: [], ...wishes },
  });
}

/** A plane, and which of its flows are of this test. */
interface Stage {
  readonly plane: TestDataPlane;
  readonly flowsBefore: number;
  readonly leafsBefore: number;
}

/** One plane for each policy: to make an authority takes longer than all flows through it. */
const planes = new Map<string, TestDataPlane>();

async function start(wishes: Wishes): Promise<Stage> {
  const key = JSON.stringify(wishes);
  const plane = planes.get(key) ?? (await startDataPlane(documentWith(wishes)));
  planes.set(key, plane);
  return { plane, flowsBefore: plane.flows.length, leafsBefore: plane.leafsIssued() };
}

function certificate(name: string): OriginClientCertificate {
  const files = { certFile: inDirectory(`${name}.pem`), keyFile: inDirectory(`${name}.key`) };
  return { hosts: ['localhost'], assets: [], ...files };
}

function get({ plane }: Stage, port: number, own?: LabCertificate): Promise<Heard> {
  return talk(plane.port, {
    before: `CONNECT localhost:${port} HTTP/1.1\r\nHost: localhost:${port}\r\n\r\n`,
    until: '\r\n\r\n',
    tls: { servername: 'localhost', ...(own === undefined ? {} : { cert: own.pem, key: own.keyPem }) },
    say: 'GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n',
  });
}

async function flowOf({ plane, flowsBefore }: Stage, number = 1): Promise<FlowFacts> {
  await waitUntil(
    () => plane.flows.length >= flowsBefore + number,
    () => 'the flow does not end',
  );
  const flow = plane.flows[flowsBefore + number - 1];
  if (flow === undefined) throw new Error('no flow');
  return flow;
}
