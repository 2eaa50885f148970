import { readFileSync } from 'node:fs';
import { connect } from 'node:tls';
import { failureOfTlsError } from '../../../src/pki/tls-failure.ts';
import { originTlsOptions } from '../../../src/pki/tls-options.ts';

/** A process of its own, in whatever environment, that dials an origin and prints the failure code, or `connected`. */
const [port = '', rootFile = ''] = process.argv.slice(2);
const socket = connect({
  host: '127.0.0.1',
  port: Number(port),
  servername: 'www.example.com',
  ...originTlsOptions({ minVersion: 'TLSv1.2', exceptions: [] }),
  ...(rootFile === '' ? {} : { ca: readFileSync(rootFile) }),
  rejectUnauthorized: true,
});
socket.on('secureConnect', () => {
  console.log('connected');
  socket.destroy();
});
socket.on('error', (error) => console.log(failureOfTlsError(error).code));
