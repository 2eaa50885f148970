import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './gateway.ts';
import { untilListening } from './nginx.ts';

/** A web server in the clear, as lenient as it can be set. */
export interface PlainServer extends AsyncDisposable {
  readonly port: number;
  /** Targets of all requests that it has acted on, one a line. */
  readonly served: () => string;
}

/** Node's own server with its lenient parser. */
export async function startLenientNode(): Promise<PlainServer> {
  const served: string[] = [];
  const server = createServer({ insecureHTTPParser: true, keepAliveTimeout: 2_000 }, (request, response) => {
    served.push(request.url ?? '');
    request.on('error', () => {}).resume();
    request.on('end', () => response.end('ok'));
  });
  server.on('clientError', (_error, socket) => socket.destroy());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    served: () => served.join('\n'),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** HAProxy in front of another server, which tells what it has passed on. */
export async function startLenientHaproxy(behind: PlainServer): Promise<PlainServer> {
  const limits = 'timeout client 2s\n timeout server 2s\n timeout connect 1s';
  const server = await startProgram('haproxy', (port) => ({
    configuration: `defaults\n mode http\n ${limits}\n option accept-invalid-http-request
frontend f\n bind 127.0.0.1:${port}\n default_backend b\nbackend b\n server s 127.0.0.1:${behind.port}\n`,
    args: (file) => ['-db', '-f', file],
  }));
  return { ...server, served: behind.served };
}

export function startPlainNginx(): Promise<PlainServer> {
  const folders = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  return startProgram('nginx', (port, directory) => ({
    configuration: `${process.getuid?.() === 0 ? 'user root;' : ''} daemon off; pid nginx.pid; error_log error.log;
events {} http { ${folders.map((name) => `${name}_temp_path ${name};`).join(' ')}
log_format target '$request_uri'; access_log access.log target; keepalive_timeout 2;
server { listen 127.0.0.1:${port}; location / { return 200 ok; } } }`,
    args: (file) => ['-p', directory, '-c', file, '-e', 'error.log'],
  }));
}

export function startLenientApache(): Promise<PlainServer> {
  const modules = ['mpm_event', 'authz_core']
    .map((name) => `LoadModule ${name}_module /usr/lib/apache2/modules/mod_${name}.so`)
    .join('\n');
  return startProgram('apache2', (port, directory) => ({
    configuration: `ServerRoot ${directory}\nListen 127.0.0.1:${port}\nPidFile apache.pid\nServerName localhost\n${modules}
${process.getuid?.() === 0 ? 'User nobody\nGroup nogroup\n' : ''}Mutex sem default
ErrorLog error.log\nLogFormat "%r" target\nCustomLog access.log target\nKeepAliveTimeout 2\nHttpProtocolOptions Unsafe
DocumentRoot ${directory}\n<Directory />\nRequire all granted\n</Directory>\n`,
    args: (file) => ['-f', file, '-DFOREGROUND'],
  }));
}

interface Start {
  readonly configuration: string;
  readonly args: (file: string) => readonly string[];
}

/** Runs a program in the foreground that writes `access.log` beside its configuration, until it listens. */
async function startProgram(program: string, start: (port: number, directory: string) => Start): Promise<PlainServer> {
  const directory = mkdtempSync(join(tmpdir(), `daylight-${program}-`));
  const port = await freePort();
  const { configuration, args } = start(port, directory);
  const file = join(directory, 'server.conf');
  writeFileSync(file, configuration);
  const child = spawn(program, args(file), { stdio: ['ignore', 'ignore', 'pipe'] });
  let complaint = '';
  child.stderr.on('data', (text) => {
    complaint += String(text);
  });
  const exited = new Promise((resolve) => child.once('exit', resolve).once('error', resolve));
  await untilListening(port, () => `${program} does not start: ${complaint}`);
  return {
    port,
    served: () => readFileSync(join(directory, 'access.log'), { encoding: 'utf8', flag: 'a+' }),
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM');
      await exited;
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
