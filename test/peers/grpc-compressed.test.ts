import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort, type RunningGateway, startGateway } from '../support/gateway.ts';
import { EchoClient } from '../support/grpc-echo.ts';
import { callByGrpcCore, type GrpcCoreServer, hasGrpcCore, startGrpcCore } from '../support/grpc-python.ts';
import { gatewayField, isTransaction } from '../support/record-fields.ts';
import { reverse } from '../support/reverse-listener.ts';
import { createTestAuthority } from '../support/test-authority.ts';

const field = (message: string) => `http.${message}.body`;
const rule = (id: string, action: string, message: string, word: string, more = '') =>
  `- { id: ${id}, title: A codeword, action: ${action}, ${more}when: { field: ${field(message)}, contains: ${word} } }\n`;
const rules =
  rule('answer.block', 'block', 'response', 'Sunbeam', 'hold: body, ') +
  rule('answer.alarm', 'alarm', 'response', 'Starbeam') +
  rule('answer.redact', 'redact', 'response', 'Moonbeam') +
  rule('request.redact', 'redact', 'request', 'Nightfall');

/** With a stroke a word is in the answer alone. */
const [blocked, alarming, masked] = ['Sun_beam', 'Star_beam', 'Moon_beam'];

describe.runIf(hasGrpcCore()).each(['Gzip', 'Deflate'] as const)(
  'gRPC whose messages are compressed (%s)',
  (compression) => {
    let gateway: RunningGateway;
    let server: GrpcCoreServer;
    let port: number;
    let folder: string;

    beforeAll(async () => {
      const authority = await createTestAuthority();
      folder = mkdtempSync(join(tmpdir(), 'daylight-grpc-'));
      const { cert, key } = await authority.issue({ names: ['localhost'] });
      writeFileSync(join(folder, 'own.pem'), cert);
      writeFileSync(join(folder, 'own.key'), key, { mode: 0o600 });
      server = await startGrpcCore(folder, compression);
      port = await freePort();
      gateway = await startGateway({
        files: { 'root.pem': authority.rootPem, 'grpc.yaml': rules },
        config: {
          listeners: [reverse(port, server.port)],
          originTrust: { system: false, files: ['$DIRECTORY/root.pem'] },
          rules: { files: ['$DIRECTORY/grpc.yaml'] },
        },
      });
    }, 60_000);
    afterAll(async () => {
      await gateway?.[Symbol.asyncDispose]();
      await server?.[Symbol.asyncDispose]();
      if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
    });

    const call = (...calls: Parameters<typeof callByGrpcCore> extends [unknown, ...infer Rest] ? Rest : never) =>
      callByGrpcCore({ port, caFile: gateway.caFile, compression }, ...calls);
    const alarms = (id: string) =>
      gateway.records('alarms').filter((line) => JSON.stringify(line).includes(`"${id}"`)).length;

    it('passes in both directions, and nothing of it is unread', async () => {
      const calls = await call(['One', 'hello'], ['Down', 'hello'], ['Both', 'one', 'two', 'three']);
      expect(calls.map(({ status }) => status)).toEqual(['OK', 'OK', 'OK']);
      expect(calls[0]?.got).toEqual(['hello']);
      expect(calls[1]?.got).toHaveLength(6);
      expect(calls[2]?.got).toEqual(['one', 'two', 'three']);
      const transactions = () => gateway.records('traffic').filter(isTransaction);
      await expect.poll(() => transactions().length).toBeGreaterThanOrEqual(3);
      for (const line of transactions()) {
        expect(gatewayField(line, 'not_inspected')).toBeUndefined();
        // They were compressed indeed: 3 000 letters take far less.
        expect(JSON.stringify(line)).toContain('grpc-encoding');
      }
    });

    it('a response that a rule blocks never comes, and the call is told so', async () => {
      const before = alarms('answer.block');
      const [refused, next] = await call(['One', blocked], ['One', 'hello']);
      expect(refused).toEqual({ status: 'PERMISSION_DENIED', got: [] });
      expect(next).toEqual({ status: 'OK', got: ['hello'] });
      expect(server.heard).toContain(blocked);
      expect(alarms('answer.block')).toBe(before + 1);
    });

    it('a stream of responses one of which a rule blocks ends before any of what was held', async () => {
      const [refused] = await call(['Down', blocked]);
      expect(refused).toEqual({ status: 'PERMISSION_DENIED', got: [] });
    });

    it('a response that a rule tells of passes, and the alarm is written', async () => {
      const before = alarms('answer.alarm');
      expect(await call(['One', alarming])).toEqual([{ status: 'OK', got: ['Starbeam'] }]);
      expect(alarms('answer.alarm')).toBe(before + 1);
    });

    it('what would be masked in a response cannot be, and is blocked', async () => {
      const before = alarms('answer.redact');
      const [one, down, both] = await call(['One', masked], ['Down', masked], ['Both', 'first', masked, 'last']);
      for (const made of [one, down, both]) {
        expect(made?.status).not.toBe('OK');
        expect(made?.got.join()).not.toContain('beam');
        expect(made?.got.length).toBeLessThan(4);
      }
      expect(alarms('answer.redact')).toBe(before + 3);
    });

    it('and so is what would be masked in a request, which the server never gets', async () => {
      const calls = await call(['One', 'Nightfall'], ['Both', 'first', 'Nightfall', 'after'], ['One', 'hello']);
      expect(calls.map(({ status }) => status === 'OK')).toEqual([false, false, true]);
      expect(server.heard.join()).not.toContain('Nightfall');
      expect(server.heard).not.toContain('after');
    });

    it('is read for a client of another kind as well', async () => {
      const channel = credentials.createSsl(readFileSync(gateway.caFile));
      const client = new EchoClient(`localhost:${port}`, channel, {}) as unknown as EchoClient;
      const ask = (word: string): Promise<{ error: ServiceError | null; answer: Buffer | undefined }> =>
        new Promise((resolve) => {
          const options = { deadline: new Date(Date.now() + 15_000) };
          const message = Buffer.from(`${'a'.repeat(3_000)}${word}`);
          client.one(message, new Metadata(), options, (error, answer) => resolve({ error, answer }));
        });
      expect(await ask('hello')).toMatchObject({ error: null });
      expect(await ask(blocked)).toMatchObject({ error: { code: status.PERMISSION_DENIED }, answer: undefined });
      expect((await ask(masked)).answer).toBeUndefined();
      client.close();
    });
  },
);
