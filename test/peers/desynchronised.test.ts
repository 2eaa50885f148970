import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort, type RunningGateway, startGateway } from '../support/gateway.ts';
import { type OddRequest, oddRequests } from '../support/odd-requests.ts';
import {
  type PlainServer,
  startLenientApache,
  startLenientHaproxy,
  startLenientNode,
  startPlainNginx,
} from '../support/plain-servers.ts';
import { talk } from '../support/raw-client.ts';
import { gatewayField, isTransaction, type Line, member } from '../support/record-fields.ts';
import { hasProgram } from '../support/run.ts';
import { sleep } from '../support/tcp.ts';

/** Requests to each server; `DAYLIGHT_ODD_REQUESTS` asks for more by hand, and `DAYLIGHT_ODD_SEED` for others. */
const count = Number(process.env.DAYLIGHT_ODD_REQUESTS ?? 120);
const seed = Number(process.env.DAYLIGHT_ODD_SEED ?? 20);
const atOnce = 24;

let gateway: RunningGateway;
let port: number;

beforeAll(async () => {
  port = await freePort();
  gateway = await startGateway({
    config: { listeners: [{ mode: 'explicit', listen: `127.0.0.1:${port}` }], originTrust: { system: true } },
  });
});

afterAll(() => gateway?.[Symbol.asyncDispose]());

/** What was made of one odd request, the request in it and the innocent one behind it, by their paths. */
interface Outcome {
  readonly recorded: ReadonlySet<string>;
  readonly completed: ReadonlySet<string>;
  readonly served: ReadonlySet<string>;
}

const servers: readonly (readonly [name: string, program: string, start: () => Promise<PlainServer>])[] = [
  ['Node with its lenient parser', 'node', startLenientNode],
  ['HAProxy that accepts invalid requests', 'haproxy', startHaproxy],
  ['nginx', 'nginx', startPlainNginx],
  ['Apache with unsafe protocol options', 'apache2', startLenientApache],
];

describe('what a server acts on is what the gateway has judged', () => {
  for (const [name, program, start] of servers) {
    it.skipIf(!hasProgram(program))(
      `at ${name}`,
      async () => {
        await using server = await start();
        const requests = oddRequests(seed, count);
        await inTurn(requests, (request) => send(server, request));
        // Records are written within a tenth of a second.
        await sleep(1_000);
        const outcome = outcomeOf(server, gateway.records('traffic'));
        const wrong = requests
          .filter(({ id }) => isDesynchronised(outcome, id))
          .map(({ bytes }) => JSON.stringify(bytes));
        expect(wrong).toEqual([]);
        // Of requests that are all refused nothing would follow.
        expect(outcome.served.size).toBeGreaterThan(count / 20);
      },
      120_000,
    );
  }
});

/** The server acted on what the gateway never saw as a request, or did not on what the gateway saw through to its end. */
function isDesynchronised({ recorded, completed, served }: Outcome, id: number): boolean {
  const paths = [`smuggled-${id}`, `innocent-${id}`];
  return paths.some((path) => (served.has(path) && !recorded.has(path)) || (completed.has(path) && !served.has(path)));
}

function outcomeOf({ port: origin, served }: PlainServer, lines: readonly Line[]): Outcome {
  const of = lines.filter((line) => isTransaction(line) && gatewayField(line, 'origin') === `127.0.0.1:${origin}`);
  const targetOf = (line: Line): string => JSON.stringify(member(line, 'http_request', 'url'));
  const paths = (texts: readonly string[]): ReadonlySet<string> =>
    new Set(texts.flatMap((text) => text.match(/(?:smuggled|innocent)-\d+/g) ?? []));
  return {
    recorded: paths(of.map(targetOf)),
    completed: paths(of.filter((line) => gatewayField(line, 'complete') === true).map(targetOf)),
    served: paths([served()]),
  };
}

function send(server: PlainServer, { id, bytes }: OddRequest): Promise<unknown> {
  const authority = `127.0.0.1:${server.port}`;
  return talk(port, {
    before: `CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n\r\n`,
    until: '\r\n\r\n',
    say: Buffer.from(`${bytes}GET /innocent-${id} HTTP/1.1\r\nHost: a.test\r\n\r\n`, 'latin1'),
    patienceMs: 1_000,
  });
}

async function inTurn<T>(items: readonly T[], work: (item: T) => Promise<unknown>): Promise<void> {
  const left = items.values();
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      for (const item of left) await work(item);
    }),
  );
}

async function startHaproxy(): Promise<PlainServer> {
  const behind = await startLenientNode();
  const haproxy = await startLenientHaproxy(behind);
  return {
    ...haproxy,
    async [Symbol.asyncDispose]() {
      await haproxy[Symbol.asyncDispose]();
      await behind[Symbol.asyncDispose]();
    },
  };
}
