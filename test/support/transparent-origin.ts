import { readFileSync } from 'node:fs';
import { createServer as createHttpServer, type RequestListener } from 'node:http';
import { createServer as createHttp2Server } from 'node:http2';
import { createServer as createHttpsServer } from 'node:https';
import { createServer } from 'node:net';

/**
 * An origin of every kind, as a program of its own: HTTPS on port 443, HTTP on port 80, HTTP/2 without TLS on port 8081, and
 * on port 2525 a service that speaks first and then echoes. Arguments: files of certificate and key.
 */
const [certFile = '', keyFile = ''] = process.argv.slice(2);

/** Says whom it sees; `/slow` never comes to its end. */
const answer: RequestListener = (request, response) => {
  if (request.url === '/slow') response.writeHead(200, { 'content-length': 1_000_000 }).write('begun');
  else response.end(`${request.method} ${request.headers.host}${request.url} from ${request.socket.remoteAddress}\n`);
};

const secure = createHttpsServer({ cert: readFileSync(certFile), key: readFileSync(keyFile) }, answer);
const plain = createHttpServer(answer);
const clear = createHttp2Server((request, response) => {
  response.end(`${request.method} ${request.authority}${request.url} over ${request.httpVersion}\n`);
});
const banner = createServer({ allowHalfOpen: true }, (socket) => {
  socket.on('error', () => {}).write('READY to echo\n');
  socket.pipe(socket);
});
const servers = [secure.listen(443, '::'), plain.listen(80, '::'), clear.listen(8081, '::'), banner.listen(2525, '::')];
await Promise.all(servers.map((server) => new Promise((resolve) => server.once('listening', resolve))));
console.log('ready');
