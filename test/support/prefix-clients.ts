import { connect, type Socket } from 'node:net';

/**
 * A client that has a whole IPv6 prefix: opens connections to a proxy, each from an address of its own, and prints how many of
 * them are left open; then asks from an address of another prefix and prints the first line of the answer. Arguments: port of
 * the proxy at ::1, the two prefixes (`fd92:1::`), and how many connections.
 */
const [port = '', own = '', other = '', connections = ''] = process.argv.slice(2);
const open = new Set<Socket>();

async function from(localAddress: string): Promise<Socket> {
  const socket = connect({ port: Number(port), host: '::1', localAddress }).on('error', () => {});
  open.add(socket);
  socket.once('close', () => open.delete(socket));
  await new Promise((resolve) => socket.once('connect', resolve).once('close', resolve));
  return socket;
}

for (let index = 1; index <= Number(connections); index += 1) (await from(`${own}${index.toString(16)}`)).resume();
// Those that are turned away are closed at once.
let before = -1;
while (before !== open.size) {
  before = open.size;
  await new Promise((resolve) => setTimeout(resolve, 500));
}
const socket = await from(`${other}1`);
const answer = new Promise<string>((resolve) => {
  socket.once('data', (bytes: Buffer) => resolve(bytes.toString('latin1'))).once('close', () => resolve(''));
});
socket.write('GET http://[fd92:3::1]:1/ HTTP/1.1\r\nHost: [fd92:3::1]:1\r\n\r\n');
console.log(JSON.stringify({ open: before, answer: (await answer).split('\r\n')[0] }));
process.exit(0);
