import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { credentials, Metadata, ServerCredentials, type ServiceError, status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort, type RunningGateway, startGateway } from '../support/gateway.ts';
import { EchoClient, type GrpcOrigin, startGrpcOrigin } from '../support/grpc-echo.ts';
import { gatewayField, isTransaction, type Line, member } from '../support/record-fields.ts';
import { createTestAuthority } from '../support/test-authority.ts';

const large = randomBytes(1_500_000);

let gateway: RunningGateway;
const origins: GrpcOrigin[] = [];
const ports = { tls: 0, plain: 0, ended: 0 };

const codeword = 'Project Moonbeam';
/** Messages of `One` and `Up` are held, in `Down` and `Both` a word is masked. */
const rules = `
- { id: grpc.held, title: A codeword, action: block, hold: body, when: { all: [{ field: http.path, equals: [/test.Echo/One, /test.Echo/Up] }, { field: http.request.body, contains: Sunbeam }] } }
- { id: grpc.held.answer, title: A codeword, action: block, hold: body, when: { all: [{ field: http.path, equals: [/test.Echo/One, /test.Echo/Up] }, { field: http.response.body, contains: Sunbeam }] } }
- { id: grpc.masked, title: A codeword, action: redact, when: { all: [{ field: http.path, equals: [/test.Echo/Down, /test.Echo/Both] }, { field: http.request.body, contains: Moonbeam }] } }
- { id: grpc.masked.answer, title: A codeword, action: redact, when: { all: [{ field: http.path, equals: [/test.Echo/Down, /test.Echo/Both] }, { field: http.response.body, contains: Moonbeam }] } }
`;

beforeAll(async () => {
  const authority = await createTestAuthority();
  const issued = await authority.issue({ names: ['localhost'], keyType: 'rsa' });
  const pair = { cert_chain: Buffer.from(issued.cert), private_key: Buffer.from(issued.key) };
  const secure = await startGrpcOrigin(ServerCredentials.createSsl(null, [pair]));
  const plain = await startGrpcOrigin(ServerCredentials.createInsecure());
  origins.push(secure, plain);
  for (const name of ['tls', 'plain', 'ended'] as const) ports[name] = await freePort();
  gateway = await startGateway({
    files: { 'roots.pem': authority.rootPem, 'own.pem': issued.cert, 'own.key': issued.key, 'grpc.yaml': rules },
    config: {
      listeners: [
        { mode: 'reverse', listen: `127.0.0.1:${ports.tls}`, origin: `localhost:${secure.port}` },
        { mode: 'reverse', listen: `127.0.0.1:${ports.plain}`, origin: `localhost:${plain.port}` },
        {
          mode: 'reverse',
          listen: `127.0.0.1:${ports.ended}`,
          origin: `localhost:${plain.port}`,
          originTls: 'never',
          certificate: { cert: '$DIRECTORY/own.pem', key: '$DIRECTORY/own.key' },
        },
      ],
      originTrust: { system: false, files: ['$DIRECTORY/roots.pem'] },
      rules: { files: ['config/rules/*.yaml', '$DIRECTORY/grpc.yaml'] },
    },
  });
});

afterAll(async () => {
  await gateway?.[Symbol.asyncDispose]();
  for (const origin of origins) await origin[Symbol.asyncDispose]();
});

interface Answer {
  readonly error: ServiceError | null;
  readonly message: Buffer | undefined;
  readonly trailer: string | undefined;
}

function askOne(client: EchoClient, message: Buffer, deadlineMs = 15_000): Promise<Answer> {
  return new Promise((resolve) => {
    let trailer: string | undefined;
    const options = { deadline: new Date(Date.now() + deadlineMs) };
    const call = client.one(message, new Metadata(), options, (error, answer) => {
      // The status, and with it the trailers, comes right behind the answer.
      setImmediate(() => resolve({ error, message: answer, trailer }));
    }) as unknown as NodeJS.EventEmitter;
    call.on('status', ({ metadata }: { metadata: Metadata }) => {
      trailer = String(metadata.get('x-seen')[0]);
    });
  });
}

async function transactionOf(path: string, port: number, until: (line: Line) => boolean = () => true): Promise<Line> {
  const isIt = (line: Line): boolean =>
    isTransaction(line) &&
    member(line, 'http_request', 'url', 'path') === path &&
    String(gatewayField(line, 'listener')).endsWith(`:${port}`) &&
    until(line);
  const all = await gateway.waitForRecords('traffic', (lines) => lines.some(isIt));
  return all.find(isIt) ?? {};
}

describe.each(['tls', 'plain', 'ended'] as const)('gRPC over %s', (kind) => {
  let client: EchoClient;
  let port: number;

  beforeAll(() => {
    port = ports[kind];
    const options = { 'grpc.max_receive_message_length': -1 };
    const roots = kind === 'tls' ? gateway.caFile : `${gateway.directory}/roots.pem`;
    const channel = kind === 'plain' ? credentials.createInsecure() : credentials.createSsl(readFileSync(roots));
    client = new EchoClient(`localhost:${port}`, channel, options) as unknown as EchoClient;
  });

  afterAll(() => client.close());

  it('answers a unary call, with trailers and a record', async () => {
    const answer = await askOne(client, Buffer.from('hello'));
    expect(answer).toMatchObject({ error: null, message: Buffer.from('hello'), trailer: '5' });
    const record = await transactionOf('/test.Echo/One', port);
    expect(gatewayField(record, 'protocol')).toBe('h2');
    expect(gatewayField(record, 'complete')).toBe(true);
    expect(member(record, 'http_response', 'code')).toBe(200);
  });

  it('passes a status without answer on', async () => {
    const { error, trailer } = await askOne(client, Buffer.from('fail'));
    expect(error).toMatchObject({ code: status.DATA_LOSS, details: 'as asked' });
    expect(trailer).toBe('4');
  });

  it('sends a message of more than a megabyte both ways', async () => {
    const { error, message } = await askOne(client, large);
    expect(error).toBeNull();
    expect(message?.equals(large)).toBe(true);
  });

  it('keeps a deadline: the call is cancelled on both sides, and the connection goes on', async () => {
    const { error } = await askOne(client, Buffer.from('wait'), 300);
    expect(error).toMatchObject({ code: status.DEADLINE_EXCEEDED });
    const record = await transactionOf('/test.Echo/One', port, (line) => gatewayField(line, 'failure') !== undefined);
    expect(gatewayField(record, 'failure')).toBe('CLIENT_GONE');
    expect((await askOne(client, Buffer.from('again'))).error).toBeNull();
  });

  it('streams from the server', async () => {
    const received: Buffer[] = [];
    const call = client.down(large).on('data', (message: Buffer) => received.push(message));
    await once(call, 'end');
    expect(received).toHaveLength(10);
    expect(received.every((message) => message.equals(large))).toBe(true);
  });

  it('streams from the client', async () => {
    const answer = await new Promise<string>((resolve, reject) => {
      const call = client.up((error, total) => (error === null ? resolve(String(total)) : reject(error)));
      for (let round = 0; round < 10; round++) call.write(large);
      call.end();
    });
    expect(answer).toBe(String(10 * large.length));
  });

  it('streams both ways at once, message by message', async () => {
    const call = client.both();
    for (let round = 0; round < 20; round++) {
      const message = Buffer.from(`message ${round}`);
      call.write(message);
      // Each is answered before the next is sent: nothing may be held back, though rules mask in it.
      const [answer] = (await once(call, 'data')) as [Buffer];
      expect(answer.equals(message)).toBe(true);
    }
    call.write(large);
    const [answer] = (await once(call, 'data')) as [Buffer];
    expect(answer.equals(large)).toBe(true);
    call.end();
    await once(call, 'end');
    const record = await transactionOf('/test.Echo/Both', port);
    expect(gatewayField(record, 'complete')).toBe(true);
  });

  it('blocks what is held: neither the origin nor the client gets a message of it', async () => {
    const { error, message } = await askOne(client, Buffer.from('Project Sunbeam'));
    expect(message).toBeUndefined();
    // A page is no gRPC: to the client its status tells.
    expect(error).toMatchObject({ code: status.PERMISSION_DENIED });
    const record = await transactionOf('/test.Echo/One', port, (line) => gatewayField(line, 'verdict') === 'block');
    expect(gatewayField(record, 'not_held')).toBeUndefined();
    expect((await askOne(client, Buffer.from('again'))).error).toBeNull();
  });

  it('reads messages that are compressed', async () => {
    const channel =
      kind === 'plain'
        ? credentials.createInsecure()
        : credentials.createSsl(readFileSync(kind === 'tls' ? gateway.caFile : `${gateway.directory}/roots.pem`));
    const gzip = { 'grpc.default_compression_algorithm': 2 };
    const other = new EchoClient(`localhost:${port}`, channel, gzip) as unknown as EchoClient;
    const { error, message } = await askOne(other, Buffer.alloc(3_000, 'a'));
    expect({ error, bytes: message?.length }).toEqual({ error: null, bytes: 3_000 });
    const call = other.both();
    for (const text of ['one', 'two']) {
      call.write(Buffer.from(text));
      expect(String(((await once(call, 'data')) as [Buffer])[0])).toBe(text);
    }
    call.end();
    await once(call, 'end');
    const blocked = await askOne(other, Buffer.from(`${'a'.repeat(3_000)} Project Sunbeam`));
    other.close();
    expect(blocked.error).toMatchObject({ code: status.PERMISSION_DENIED });
    const records = gateway
      .records('traffic')
      .filter((line) => isTransaction(line) && gatewayField(line, 'not_inspected') !== undefined);
    expect(records).toEqual([]);
  });

  it('masks a word in a call both ways, message by message', async () => {
    const call = client.both();
    for (const text of ['hello', `${codeword} is here`, 'bye']) {
      call.write(Buffer.from(text));
      const [answer] = (await once(call, 'data')) as [Buffer];
      expect(answer.toString()).toBe(text.replace('Moonbeam', '********'));
    }
    call.end();
    await once(call, 'end');
    const down = client.down(Buffer.from(codeword));
    const [first] = (await once(down, 'data')) as [Buffer];
    expect(first.toString()).toBe('Project ********');
    await once(down.resume(), 'end');
  });
});
