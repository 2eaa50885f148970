import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';

/** A client that behaves, for as long as others do not: what it meets is what their misdeeds cost it. */
export interface SteadyClient {
  /** Outcome of each request so far: `ok`, or what went wrong. */
  readonly outcomes: readonly string[];
  /** Those that were not `ok`. */
  readonly harm: () => readonly string[];
  /** Resolves when the last request is done. */
  stop(): Promise<void>;
}

export interface SteadyOptions {
  readonly proxyPort: number;
  readonly originPort: number;
  /** PEM of the authority that leafs must come from. */
  readonly ca: string;
  readonly pauseMs?: number;
}

/** Starts it: one HTTPS request after the other through CONNECT to localhost, each on a connection of its own. */
export function startSteadyClient(options: SteadyOptions): SteadyClient {
  const outcomes: string[] = [];
  let running = true;
  const done = (async () => {
    while (running) {
      outcomes.push(await exchange(options));
      await new Promise((resolve) => setTimeout(resolve, options.pauseMs ?? 50));
    }
  })();
  return {
    outcomes,
    harm: () => outcomes.filter((outcome) => outcome !== 'ok'),
    stop() {
      running = false;
      return done;
    },
  };
}

const patienceMs = 10_000;

function exchange({ proxyPort, originPort, ca }: SteadyOptions): Promise<string> {
  return new Promise((resolve) => {
    let answer = '';
    const transport = connect(proxyPort, '127.0.0.1');
    const finish = (outcome: string): void => {
      clearTimeout(timer);
      transport.destroy();
      resolve(outcome);
    };
    const timer = setTimeout(() => finish(`no answer in time after ${JSON.stringify(answer)}`), patienceMs);
    transport.on('error', (error) => finish(`transport: ${error.message}`));
    transport.on('close', () => finish(isWhole(answer) ? 'ok' : 'closed before the answer'));
    transport.write(`CONNECT localhost:${originPort} HTTP/1.1\r\nHost: localhost:${originPort}\r\n\r\n`);
    transport.once('data', (head) => {
      if (!head.toString().startsWith('HTTP/1.1 200')) return finish(`proxy: ${head.toString().split('\r\n', 1)[0]}`);
      const secure = connectTls({ socket: transport, servername: 'localhost', ca });
      secure.write(`GET /steady HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
      secure.on('data', (chunk) => {
        answer += chunk.toString();
      });
      secure.on('error', (error) => finish(`tls: ${error.message}`));
      secure.on('close', () => finish(isWhole(answer) ? 'ok' : `answered ${JSON.stringify(answer)}`));
    });
  });
}

function isWhole(answer: string): boolean {
  return answer.startsWith('HTTP/1.1 200') && answer.includes('GET localhost /steady');
}
