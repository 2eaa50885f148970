import {
  type Client,
  type ClientDuplexStream,
  type ClientReadableStream,
  type ClientWritableStream,
  Metadata,
  makeGenericClientConstructor,
  Server,
  type ServerCredentials,
  type ServerDuplexStream,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type ServiceDefinition,
  type ServiceError,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js';

/** A service whose messages are bytes as they are: no code generated from a schema is needed. */
const plain = (bytes: Buffer): Buffer => bytes;
const method = (path: string, requestStream: boolean, responseStream: boolean) => ({
  path: `/test.Echo/${path}`,
  requestStream,
  responseStream,
  requestSerialize: plain,
  requestDeserialize: plain,
  responseSerialize: plain,
  responseDeserialize: plain,
});

const echo = {
  one: method('One', false, false),
  down: method('Down', false, true),
  up: method('Up', true, false),
  both: method('Both', true, true),
} as const satisfies ServiceDefinition;

export interface EchoClient extends Client {
  one(
    message: Buffer,
    metadata: Metadata,
    options: { deadline?: Date },
    done: (error: ServiceError | null, answer?: Buffer) => void,
  ): void;
  down(message: Buffer): ClientReadableStream<Buffer>;
  up(done: (error: ServiceError | null, answer?: Buffer) => void): ClientWritableStream<Buffer>;
  both(): ClientDuplexStream<Buffer, Buffer>;
}

export const EchoClient = makeGenericClientConstructor(echo, 'Echo');

export interface GrpcOrigin extends AsyncDisposable {
  readonly port: number;
  readonly paths: readonly string[];
}

/** A real gRPC server with all four kinds of calls. */
export async function startGrpcOrigin(credentials: ServerCredentials): Promise<GrpcOrigin> {
  const paths: string[] = [];
  const server = new Server({ 'grpc.max_receive_message_length': -1 });
  server.addService(echo, {
    /** Answers with its message and a trailer; `fail` with a status, `wait` never. */
    one: (call: ServerUnaryCall<Buffer, Buffer>, done: sendUnaryData<Buffer>) => {
      paths.push(call.getPath());
      const trailer = new Metadata();
      trailer.set('x-seen', String(call.request.length));
      const text = call.request.toString('latin1', 0, 10);
      if (text === 'fail') done({ code: status.DATA_LOSS, details: 'as asked', metadata: trailer });
      else if (text !== 'wait') done(null, call.request, trailer);
    },
    /** Sends the message back ten times. */
    down: (call: ServerWritableStream<Buffer, Buffer>) => {
      for (let round = 0; round < 10; round++) call.write(call.request);
      call.end();
    },
    /** Tells how many bytes came. */
    up: (call: ServerReadableStream<Buffer, Buffer>, done: sendUnaryData<Buffer>) => {
      let bytes = 0;
      call.on('data', (message: Buffer) => {
        bytes += message.length;
      });
      call.on('end', () => done(null, Buffer.from(String(bytes))));
    },
    /** Answers each message at once. */
    both: (call: ServerDuplexStream<Buffer, Buffer>) => {
      call.on('data', (message: Buffer) => call.write(message));
      call.on('end', () => call.end());
    },
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', credentials, (error, bound) => (error === null ? resolve(bound) : reject(error)));
  });
  return {
    port,
    paths,
    async [Symbol.asyncDispose]() {
      server.forceShutdown();
    },
  };
}
