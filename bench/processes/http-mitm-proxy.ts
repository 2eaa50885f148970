import { readFileSync } from 'node:fs';
import { Agent } from 'node:https';
import { createRequire } from 'node:module';
import { join } from 'node:path';

/** Runs http-mitm-proxy as its own documentation does, with connections to the origin kept alive. */
const [port, peers, folder, originCa] = process.argv.slice(2);
if (peers === undefined || folder === undefined || originCa === undefined) {
  throw new Error('arguments: port, folder of peers, folder for certificates, origin CA');
}

interface MitmProxy {
  onError(handler: () => void): void;
  listen(options: object, listening: (error?: Error) => void): void;
}

const peer = createRequire(join(peers, 'package.json'))('http-mitm-proxy') as { Proxy: new () => MitmProxy };
const proxy = new peer.Proxy();
proxy.onError(() => {});
const agent = new Agent({ keepAlive: true, ca: readFileSync(originCa) });
const options = { host: '127.0.0.1', port: Number(port), sslCaDir: folder, keepAlive: true, httpsAgent: agent };
proxy.listen(options, (error) => {
  if (error) throw error;
});
