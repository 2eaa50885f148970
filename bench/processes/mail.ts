import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort, type RunningGateway, startGateway } from '../../test/support/gateway.ts';
import { type RunningPostfix, startPostfix } from '../../test/support/postfix.ts';
import { createTestAuthority } from '../../test/support/test-authority.ts';
import { startAutossl } from './autossl.ts';

/**
 * What mail costs: mails of 4 KB a second in eight sessions under STARTTLS, and new sessions with one mail each, to Postfix,
 * which queues and then discards them; through the gateway (reverse, one relay, starter rules, records; `judged` besides
 * with a rule that reads every mail), through SSLsplit where it is installed, and directly, in turn. Root.
 * `node bench/processes/mail.ts [mails] [sessions] [rounds]`
 */
const [mails = 6_000, sessions = 1_000, rounds = 3] = process.argv.slice(2).map(Number);

const authority = await createTestAuthority();
const postfix: RunningPostfix = await startPostfix({
  credentials: await authority.issue({ names: ['localhost'] }),
  // Neither limits nor growing delays for one client.
  settings: {
    smtpd_client_connection_count_limit: '0',
    smtpd_tls_session_cache_database: '',
    default_process_limit: '200',
  },
});

async function gatewayWith(rules: readonly string[]): Promise<{ port: number; gateway: RunningGateway }> {
  const port = await freePort();
  const gateway = await startGateway({
    files: {
      'root.pem': authority.rootPem,
      'mail.yaml':
        '- { id: word, title: Word, action: alarm, when: { field: mail.part.body, contains: falcon-seven } }\n',
    },
    config: {
      listeners: [
        { mode: 'reverse', listen: `127.0.0.1:${port}`, origin: `127.0.0.1:${postfix.port}`, originName: 'localhost' },
      ],
      originTrust: { system: false, files: ['$DIRECTORY/root.pem'] },
      rules: { files: [...rules] },
    },
  });
  return { port, gateway };
}

const starter = fileURLToPath(new URL('../../config/rules/starter.yaml', import.meta.url));
const load = fileURLToPath(new URL('mail-load.ts', import.meta.url));
const plain = await gatewayWith([starter]);
const judged = await gatewayWith([starter, '$DIRECTORY/mail.yaml']);
const rootFile = join(plain.gateway.directory, 'root.pem');

interface Way {
  readonly name: 'direct' | 'gateway' | 'judged';
  readonly port: number;
  readonly caFile: string;
  readonly gateway?: RunningGateway;
}
const ways: readonly Way[] = [
  { name: 'direct', port: postfix.port, caFile: rootFile },
  { name: 'gateway', ...plain, caFile: plain.gateway.caFile },
  { name: 'judged', ...judged, caFile: judged.gateway.caFile },
];

/** Mails or sessions a second. */
async function rate({ port, caFile }: Pick<Way, 'port' | 'caFile'>, kind: string, count: number): Promise<number> {
  const child = spawn(process.execPath, ['--no-warnings', load, kind, String(port), caFile, String(count)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => (text += chunk));
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(`the load ended with ${code}`);
  const { seconds } = JSON.parse(text) as { seconds: number };
  return count / seconds;
}

function relayPid({ pid }: RunningGateway): string {
  for (const child of readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')) {
    if (readFileSync(`/proc/${child}/cmdline`, 'utf8').includes('relay-process')) return child;
  }
  throw new Error('no relay');
}

/** Seconds of processor time of the relay so far. */
function relaySeconds(gateway: RunningGateway): number {
  const fields =
    readFileSync(`/proc/${relayPid(gateway)}/stat`, 'utf8')
      .split(') ')[1]
      ?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** How SSLsplit fares, in a few sessions: 0.5.5 breaks down in the second that goes on in TLS. */
async function trySslsplit(): Promise<void> {
  using sslsplit = await startAutossl(postfix.port);
  if (sslsplit === undefined) return;
  const outcome = await rate(sslsplit, 'sessions', 20).then((sessions) => `${sessions.toFixed(0)} a second`, String);
  console.log(`sessions through SSLsplit: ${outcome}; it ${sslsplit.isAlive ? 'still runs' : 'has ended'}`);
}

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;
const shown = (values: readonly number[]): string =>
  `${median(values).toFixed(0)} (${Math.min(...values).toFixed(0)} to ${Math.max(...values).toFixed(0)})`;

try {
  const figures = new Map<string, number[]>();
  const note = (name: string, value: number): void => {
    figures.set(name, [...(figures.get(name) ?? []), value]);
  };
  for (const way of ways) await rate(way, 'mails', 500);
  for (let round = 0; round < rounds; round += 1) {
    for (const [kind, count] of [
      ['mails', mails],
      ['sessions', sessions],
    ] as const) {
      for (const way of ways) {
        const before = way.gateway === undefined ? 0 : relaySeconds(way.gateway);
        note(`${kind} ${way.name}`, await rate(way, kind, count));
        if (way.gateway !== undefined)
          note(`${kind} ${way.name} cpu`, (1e6 * (relaySeconds(way.gateway) - before)) / count);
      }
    }
  }
  for (const kind of ['mails', 'sessions']) {
    const direct = figures.get(`${kind} direct`) ?? [];
    console.log(`${kind} a second, median (least to most) of ${rounds}: direct ${shown(direct)}`);
    for (const { name, gateway } of ways.slice(1)) {
      const through = figures.get(`${kind} ${name}`) ?? [];
      const share = Math.round((100 * median(through)) / median(direct));
      const cpu = gateway && `; ${shown(figures.get(`${kind} ${name} cpu`) ?? [])} microseconds of the relay each`;
      console.log(`  ${name} ${shown(through)}: ${share} % of direct${cpu ?? ''}`);
    }
  }
  await trySslsplit();
} finally {
  for (const { gateway } of [plain, judged]) await gateway[Symbol.asyncDispose]();
  await postfix[Symbol.asyncDispose]();
}
