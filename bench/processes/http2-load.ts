import { once } from 'node:events';
import { type ClientHttp2Session, connect } from 'node:http2';
import type { TLSSocket } from 'node:tls';
import type { LoadJob } from '../load-job.ts';

/** Requests under way at once on a connection. */
const streams = 16;

/** One HTTP/2 connection with a number of streams, each asking again as soon as it is answered. */
export async function loadStreams(
  socket: TLSSocket,
  job: LoadJob,
  onAnswer: (originConnection: string) => boolean,
): Promise<void> {
  const session = connect(`https://${job.authority}`, { createConnection: () => socket });
  const failed = once(session, 'error').then(([error]) => {
    throw error;
  });
  const workers = Array.from({ length: streams }, () => askOn(session, job, onAnswer));
  await Promise.race([Promise.all(workers), failed]);
  session.close();
}

async function askOn(
  session: ClientHttp2Session,
  job: LoadJob,
  onAnswer: (originConnection: string) => boolean,
): Promise<void> {
  for (;;) {
    const origin = await ask(session, job);
    if (!onAnswer(origin)) return;
  }
}

function ask(session: ClientHttp2Session, job: LoadJob): Promise<string> {
  return new Promise((resolve, reject) => {
    let bytes = 0;
    let origin = '';
    const stream = session.request({
      ':path': job.path,
      ':authority': job.authority,
      'user-agent': 'bench/1.0',
      accept: '*/*',
    });
    stream.on('response', (headers) => {
      origin = String(headers['x-origin-connection'] ?? '');
      if (headers[':status'] !== 200) reject(new Error(`status ${headers[':status']}`));
    });
    stream.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
    });
    stream.on('error', reject);
    stream.on('end', () => {
      if (bytes === job.bodyBytes) resolve(origin);
      else reject(new Error(`${bytes} bytes of body instead of ${job.bodyBytes}`));
    });
  });
}
