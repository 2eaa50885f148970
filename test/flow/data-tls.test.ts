import { once } from 'node:events';
import { type AddressInfo, connect } from 'node:net';
import { connect as connectTls, createSecureContext, createServer, type SecureVersion, type Server } from 'node:tls';
import { expect, it } from 'vitest';
import { dataTls } from '../../src/flow/data-tls.ts';
import type { Flow } from '../../src/flow/flow.ts';
import { certificateFactsOf } from '../../src/pki/certificate-facts.ts';
import { policyDocument } from '../support/policy.ts';
import { type Credentials, createTestAuthority } from '../support/test-authority.ts';

async function serve(credentials: Credentials, maxVersion: SecureVersion): Promise<Server> {
  const server = createServer({ ...credentials, maxVersion }, (socket) => socket.on('error', () => {}).resume());
  server.on('tlsClientError', () => {});
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

const portOf = (server: Server): number => (server.address() as AddressInfo).port;

it.each(['TLSv1.2', 'TLSv1.3'] as const)(
  'an origin leg never resumes a session of a stranger that it refused (%s)',
  async (version) => {
    const name = { names: ['localhost'] };
    const authority = await createTestAuthority();
    const origin = await serve(await authority.issue(name), version);
    const stranger = await serve(await (await createTestAuthority()).issue(name), version);
    const context = createSecureContext({ ca: authority.rootPem });
    const control = connectTls({
      port: portOf(origin),
      host: '127.0.0.1',
      servername: 'localhost',
      secureContext: context,
    });
    await once(control, 'secureConnect');
    const peer = control.getPeerX509Certificate();
    const fingerprint = peer && certificateFactsOf(peer).fingerprint256;
    const flow = {
      policy: { document: policyDocument() },
      origin: control,
      originSecurity: { context, name: 'localhost', serverName: 'localhost', fingerprint },
      facts: { upstreamProxy: undefined },
    } as unknown as Flow;
    const data = dataTls(flow);
    const transfer = async (server: Server) => {
      const socket = connect(portOf(server), '127.0.0.1').on('error', () => {});
      await once(socket, 'connect');
      return data.origin(socket, 'upload');
    };

    for (let attempt = 0; attempt < 3; attempt += 1)
      await expect(transfer(stranger)).rejects.toMatchObject({ code: 'ORIGIN_FTP_DATA_IDENTITY' });
    const secure = await transfer(origin);
    secure.on('error', () => {});

    secure.destroy();
    control.destroy();
    origin.close();
    stranger.close();
  },
);
