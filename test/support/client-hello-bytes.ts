import { Duplex } from 'node:stream';
import { type ConnectionOptions, connect } from 'node:tls';

/** The first flight of a real TLS client: Node's own, with a post-quantum key share by default. */
export function clientHelloBytes(options: ConnectionOptions = {}): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const transport = new Duplex({
      read() {},
      write(chunk: Buffer, _encoding, done) {
        resolve(chunk);
        done();
      },
    });
    const client = connect({
      socket: transport,
      servername: 'origin.example',
      ALPNProtocols: ['http/1.1'],
      ...options,
    });
    client.on('error', reject);
  });
}
