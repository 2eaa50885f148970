import { createServer } from 'node:tls';
import { expect, it } from 'vitest';
import { clientHello, inRecords, serverNames } from '../codec/hello-builder.ts';
import { startDataPlane } from '../support/data-plane.ts';
import { listening, receiveAll } from '../support/tcp.ts';
import { createTestAuthority } from '../support/test-authority.ts';
import { openTunnel } from '../support/tunnel.ts';

/** Makes the start of validity a time that does not exist, which neither OpenSSL nor we can read. */
function withoutTime(pem: string): string {
  const der = Buffer.from(pem.replaceAll(/-----.*-----|\s/g, ''), 'base64');
  der.write('13', der.indexOf(Buffer.from([0x17, 0x0d])) + 4);
  return `-----BEGIN CERTIFICATE-----\n${der.toString('base64').replaceAll(/(.{64})/g, '$1\n')}\n-----END CERTIFICATE-----\n`;
}

it('survives an origin whose certificate has a time that cannot be read, and names the fault', async () => {
  const authority = await createTestAuthority();
  const { cert, key } = await authority.issue({ names: ['localhost'] });
  const origin = createServer({ cert: withoutTime(cert), key });
  const port = await listening(origin);
  await using plane = await startDataPlane({ originTrust: { rootsPem: [authority.rootPem] } });
  const client = await openTunnel(plane.port, `localhost:${port}`);
  client.write(inRecords(clientHello({ extensions: [serverNames('localhost')] })));
  // A fatal alert, bad_certificate.
  expect((await receiveAll(client.resume())).toString('hex')).toBe('1503030002022a');
  await expect.poll(() => plane.flows.length).toBe(1);
  expect(plane.flows[0]).toMatchObject({
    failure: 'ORIGIN_CERT_INVALID',
    failureDetail: 'certificate malformed: time malformed',
    originTls: { certificate: { notBefore: 0, notAfter: expect.any(Number) } },
  });
  client.destroy();
  origin.close();
});
