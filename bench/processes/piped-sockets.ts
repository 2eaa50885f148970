import { readFileSync } from 'node:fs';
import { createSecureContext, createServer, connect as tlsConnect } from 'node:tls';

/**
 * The floor for anything on Node: a TLS server whose sockets are piped to TLS connections to the origin, with a
 * certificate made in advance. Nothing is parsed, decided or recorded.
 */
const [port, originIp, originPort, host, certificate, key, originCa] = process.argv.slice(2);
if (originCa === undefined)
  throw new Error('arguments: port, origin address, origin port, host, certificate, key, origin CA');

const server = createServer({ cert: readFileSync(certificate ?? ''), key: readFileSync(key ?? '') });
const context = createSecureContext({ ca: readFileSync(originCa) });

server.on('secureConnection', (client) => {
  const origin = tlsConnect({
    host: originIp,
    port: Number(originPort),
    servername: host ?? '',
    secureContext: context,
  });
  client.on('error', () => origin.destroy());
  origin.on('error', () => client.destroy());
  client.pipe(origin).pipe(client);
});
server.on('tlsClientError', () => {});
server.listen(Number(port), '127.0.0.1');
