import type { Server, ServerResponse } from 'node:http';
import { FlowFailure } from '../core/failures.ts';
import type { ListenAddress } from '../core/policy.ts';
import type { Exposition } from '../metrics/exposition.ts';

// Not imported: that would read every export, also `WebSocket`, and so load 13 MB that nobody asked for.
const { createServer } = process.getBuiltinModule('node:http');

export interface AdminOptions {
  readonly listen: ListenAddress;
  readonly metrics: Exposition;
  /** Relays that accept now; none means not ready. */
  readonly relayCount: () => number;
  readonly version: () => string;
}

/**
 * The admin address: health and metrics, read only. It is a listener of control alone, and the data plane refuses it as a
 * destination. Rejects with FlowFailure GATEWAY_PORT_IN_USE or GATEWAY_LISTEN_DENIED.
 */
export function serveAdmin(options: AdminOptions): Promise<Server> {
  const server = createServer((request, response) => {
    if (request.method !== 'GET' && request.method !== 'HEAD') return answer(response, 405, 'method not allowed\n');
    switch (request.url) {
      case '/health':
        return answerHealth(response, options);
      case '/metrics':
        options.metrics.set({ daylight_relays: options.relayCount() });
        return answer(response, 200, options.metrics.text(), 'text/plain; version=0.0.4; charset=utf-8');
      default:
        return answer(response, 404, 'Daylight: /health and /metrics are here.\n');
    }
  });
  const { ip, port } = options.listen;
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const code = error.code === 'EADDRINUSE' ? 'GATEWAY_PORT_IN_USE' : 'GATEWAY_LISTEN_DENIED';
      reject(new FlowFailure(code, `admin ${ip}:${port}`));
    });
    server.listen(port, ip, () => {
      // From now on an error is one connection's that could not be accepted, and must not end control.
      server.on('error', () => {});
      resolve(server);
    });
  });
}

/** A balancer in front shall send its clients elsewhere where they would be refused. */
function answerHealth(response: ServerResponse, { relayCount, version, metrics }: AdminOptions): void {
  const relays = relayCount();
  const isRecording = metrics.sum('daylight_records_stopped') === 0;
  const status = relays === 0 ? 'not ready' : isRecording ? 'ready' : 'records cannot be written';
  const health = `${JSON.stringify({ status, relays, policy: version() })}\n`;
  answer(response, status === 'ready' ? 200 : 503, health, 'application/json');
}

function answer(response: ServerResponse, status: number, body: string, type = 'text/plain'): void {
  response.writeHead(status, {
    'content-type': type,
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
  });
  response.end(body);
}
