import { createServer } from 'node:net';

/** An origin that tells every client its address, on the ports of its arguments, and waits for the client's end. */
for (const port of process.argv.slice(2).map(Number)) {
  createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {}).resume();
    socket.write(JSON.stringify({ sees: socket.remoteAddress, port: socket.localPort }));
    socket.on('end', () => socket.end());
  }).listen(port, '::');
}
console.log('ready');
