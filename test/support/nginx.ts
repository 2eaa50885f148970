import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort, waitUntil } from './gateway.ts';
import type { Credentials } from './test-authority.ts';

/** A running nginx that serves the files of `root` over HTTPS. */
export interface Nginx extends AsyncDisposable {
  readonly port: number;
  readonly root: string;
  /** What it wrote of each request: connection number, request line, status, bytes sent. */
  readonly log: () => readonly string[];
}

/** Starts nginx with `locations` in its server block, and waits until it accepts. `speaks` is what its port does besides TLS. */
export async function startNginx(
  credentials: Credentials,
  locations = '',
  speaks: 'http2' | 'proxy_protocol' | '' = '',
): Promise<Nginx> {
  const directory = mkdtempSync(join(tmpdir(), 'daylight-nginx-'));
  const root = join(directory, 'root');
  mkdirSync(root);
  const port = await freePort();
  writeFileSync(join(directory, 'cert.pem'), credentials.cert);
  writeFileSync(join(directory, 'key.pem'), credentials.key);
  writeFileSync(join(directory, 'nginx.conf'), configuration(port, locations, speaks));
  const child = spawn('nginx', ['-p', directory, '-c', 'nginx.conf', '-e', 'error.log'], { stdio: 'ignore' });
  const exited = new Promise((resolve) => child.once('exit', resolve).once('error', resolve));
  const read = (name: string): string => readFileSync(join(directory, name), { encoding: 'utf8', flag: 'a+' });
  await untilListening(port, () => `nginx does not start: ${read('error.log')}`);
  return {
    port,
    root,
    log: () => read('access.log').split('\n').slice(0, -1),
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM');
      await exited;
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** In the foreground, as the user who runs the test, with all its files in the prefix. */
function configuration(port: number, locations: string, speaks: string): string {
  return `
${process.getuid?.() === 0 ? 'user root;' : ''}
daemon off;
worker_processes 1;
pid nginx.pid;
error_log error.log;
events { worker_connections 256; }
http {
  types { text/html html; text/plain txt; application/json json; }
  default_type application/octet-stream;
  log_format short '$connection "$request" $status $body_bytes_sent';
  access_log access.log short;
  ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${name};`).join(' ')}
  sendfile on;
  keepalive_timeout 60s;
  server {
    listen 127.0.0.1:${port} ssl ${speaks};
    ssl_certificate cert.pem;
    ssl_certificate_key key.pem;
    root root;
    ${locations}
  }
}
`;
}

/** Waits until somebody accepts at a port. */
export async function untilListening(port: number, complaint: () => string): Promise<void> {
  let isListening = false;
  const attempt = (): void => {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => setTimeout(attempt, 30).unref());
    socket.once('connect', () => {
      isListening = true;
      socket.destroy();
    });
  };
  attempt();
  await waitUntil(() => isListening, complaint);
}
