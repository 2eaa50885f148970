import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { freePort, waitUntil } from './gateway.ts';
import { run } from './run.ts';

/** Debian's own, for which its packages are. */
const python = '/usr/bin/python3';

/** gRPC's own core, whose server compresses what it answers; that for Node does not. */
export function hasGrpcCore(): boolean {
  const isThere = spawnSync(python, ['-c', 'import grpc']).status === 0;
  if (!isThere) console.warn('skipped: python3-grpcio is not installed (test/peers/install.sh installs it)');
  return isThere;
}

export type GrpcCompression = 'Gzip' | 'Deflate' | 'NoCompression';

const server = `
import sys, grpc
from concurrent import futures
port, folder, compression = sys.argv[1:]
def answer(request):
    print('heard', request[-40:].decode('latin1'), flush=True)
    # What is said with a stroke in it is answered without: a rule finds it in the answer alone.
    return request.replace(b'_', b'')
def one(request, context): return answer(request)
def down(request, context):
    for n in range(6): yield b'x' * 2000 + b' %d ' % n + (answer(request) if n == 3 else b'nothing')
def both(requests, context):
    for request in requests: yield answer(request)
class Echo(grpc.GenericRpcHandler):
    def service(self, call):
        return {
            '/test.Echo/One': grpc.unary_unary_rpc_method_handler(one),
            '/test.Echo/Down': grpc.unary_stream_rpc_method_handler(down),
            '/test.Echo/Both': grpc.stream_stream_rpc_method_handler(both),
        }.get(call.method)
server = grpc.server(futures.ThreadPoolExecutor(4), compression=getattr(grpc.Compression, compression))
server.add_generic_rpc_handlers((Echo(),))
read = lambda name: open(folder + '/' + name, 'rb').read()
server.add_secure_port('127.0.0.1:' + port, grpc.ssl_server_credentials([(read('own.key'), read('own.pem'))]))
server.start()
print('ready', flush=True)
sys.stdin.read()
server.stop(None)
`;

const client = `
import json, sys, grpc
port, ca, compression = sys.argv[1:4]
channel = grpc.secure_channel('localhost:' + port, grpc.ssl_channel_credentials(open(ca, 'rb').read()),
    compression=getattr(grpc.Compression, compression))
def text(message): return message[-40:].decode('latin1').lstrip('a')
for method, *words in json.loads(sys.argv[4]):
    messages = [b'a' * 3000 + word.encode() for word in words]
    got, status = [], 'OK'
    try:
        if method == 'One': got.append(text(channel.unary_unary('/test.Echo/One')(messages[0], timeout=15)))
        elif method == 'Down':
            for message in channel.unary_stream('/test.Echo/Down')(messages[0], timeout=15): got.append(text(message))
        else:
            for message in channel.stream_stream('/test.Echo/Both')(iter(messages), timeout=15): got.append(text(message))
    except grpc.RpcError as error: status = error.code().name
    print(json.dumps({'status': status, 'got': got}))
`;

export interface GrpcCoreServer extends AsyncDisposable {
  readonly port: number;
  /** The ends of messages that it got. */
  readonly heard: readonly string[];
}

/** Starts one on the loopback under TLS, with `own.pem` and `own.key` of the folder. */
export async function startGrpcCore(folder: string, compression: GrpcCompression): Promise<GrpcCoreServer> {
  const port = await freePort();
  const child = spawn(python, ['-c', server, String(port), folder, compression], { stdio: ['pipe', 'pipe', 'pipe'] });
  const heard: string[] = [];
  let isReady = false;
  let problems = '';
  child.stderr.on('data', (bytes: Buffer) => (problems += bytes));
  createInterface({ input: child.stdout }).on('line', (line) => {
    if (line === 'ready') isReady = true;
    else heard.push(line.slice('heard '.length).replace(/^a*/, ''));
  });
  await waitUntil(
    () => isReady,
    () => problems,
  );
  return {
    port,
    heard,
    async [Symbol.asyncDispose]() {
      const exited = once(child, 'exit');
      child.stdin.end();
      await exited;
    },
  };
}

export interface GrpcCall {
  readonly status: string;
  /** Ends of the messages that came. */
  readonly got: readonly string[];
}

/** Calls one after the other over one channel; each message stands behind 3 000 letters, so that it is worth compressing. */
export async function callByGrpcCore(
  { port, caFile, compression }: { port: number; caFile: string; compression: GrpcCompression },
  ...calls: readonly (readonly [method: 'One' | 'Down' | 'Both', ...words: string[]])[]
): Promise<readonly GrpcCall[]> {
  const args = ['-c', client, String(port), caFile, compression, JSON.stringify(calls)];
  const { code, stdout, stderr } = await run(python, args, { timeoutMs: 60_000 });
  if (code !== 0) throw new Error(stdout + stderr);
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as GrpcCall);
}
