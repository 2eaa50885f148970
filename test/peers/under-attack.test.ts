import { connect } from 'node:net';
import { setPriority } from 'node:os';
import { brotliCompressSync, constants, gzipSync, zstdCompressSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { limits } from '../../src/core/limits.ts';
import { smugglingVectors } from '../flow/relay/smuggling-vectors.ts';
import { clientHelloBytes } from '../support/client-hello-bytes.ts';
import { type HostileGround, openHostileGround, shortTimeouts } from '../support/hostile-ground.ts';
import { startOrigin, type TestOrigin } from '../support/https-origin.ts';
import { childrenOf } from '../support/processes.ts';
import { type Heard, talk } from '../support/raw-client.ts';
import { startRawOrigin } from '../support/raw-origin.ts';
import { failureOf } from '../support/record-fields.ts';
import { openTlsTunnel } from '../support/tunnel.ts';

/**
 * Names of the flood. With DAYLIGHT_FLOOD_NAMES=10000 it is the whole one; its figures are printed, and its delays are held
 * to the bound. On a machine that does other work besides, a delay proves nothing: there it is the CPU time of turns that is
 * bounded, and more widely, since shared processors compute at half their speed and events gather meanwhile.
 */
const floodNames = Number(process.env.DAYLIGHT_FLOOD_NAMES ?? 1_150);
const isMeasured = process.env.DAYLIGHT_FLOOD_NAMES !== undefined;

/** Backtracking engines need years for them. */
const rules = `
- { id: bomb.nested, title: t, action: alarm, when: { field: http.request.body, regex: "(a+)+$", near: [aaa] } }
- { id: bomb.alternatives, title: t, action: alarm, when: { field: http.request.body, regex: "(a|aa)+!", near: [aaa] } }
- { id: bomb.line, title: t, action: alarm, when: { field: http.path, regex: "^/(([a-z])+.)+[A-Z]([a-z])+$" } }
- { id: bomb.proof, title: t, action: block, when: { field: http.request.body, contains: detonated } }
`;

/** Clients and origins are in this process, which the attacks keep busy: what they are late with is not what is tested. */
const timeouts = { ...shortTimeouts, opening: '6s', connect: '6s', handshake: '6s', idle: '8s' };
let ground: HostileGround;

beforeAll(async () => {
  ground = await openHostileGround({ rules: { files: ['$DIRECTORY/bombs.yaml'] }, timeouts }, { 'bombs.yaml': rules });
});
afterAll(() => ground?.[Symbol.asyncDispose]());
afterEach(() => {
  expect(ground.steady.harm()).toEqual([]);
  expect(ground.gateway.log()).not.toContain('GATEWAY_RELAY_CRASHED');
});

const tunnelTo = (port: number): string => `CONNECT localhost:${port} HTTP/1.1\r\nHost: localhost\r\n\r\n`;

describe('request smuggling', () => {
  it('never makes the origin see a request that is not recorded, whatever the vector', {
    timeout: 90_000,
  }, async () => {
    const tls = { servername: 'a.example', ALPNProtocols: ['http/1.1'] };
    const seenBefore = ground.origin.requests.filter((request) => request !== 'GET /steady').length;
    const recorded = { passed: 0, all: 0 };
    const wrong: string[] = [];
    const attempt = async ({ name, bytes, expected }: (typeof smugglingVectors)[number]): Promise<void> => {
      const from = ground.address();
      const say = Buffer.from(bytes, 'latin1');
      const { text } = await talk(ground.port, {
        before: tunnelTo(ground.origin.port),
        until: '\r\n\r\n',
        tls,
        say,
        from,
      });
      const transactions = await ground.transactionsFrom(from);
      const passed = transactions.filter((line) => failureOf(line) === undefined);
      recorded.passed += passed.length;
      recorded.all += transactions.length;
      // One of them names a host that the certificate does not cover.
      const isForwarded = passed.length === 1 || /^HTTP\/1\.1 421/.test(text);
      if (expected === 'verbatim' ? !isForwarded : !/^HTTP\/1\.1 [45]/.test(text) || passed.length > 0) {
        wrong.push(`${name} (${expected}): ${text.slice(0, 12)} ${passed.length}`);
      }
    };
    // Those that can be read in two ways are in bad-input.test.ts.
    const vectors = smugglingVectors.filter(({ expected }) => expected !== 'ambiguous');
    for (let at = 0; at < vectors.length; at += 16) await Promise.all(vectors.slice(at, at + 16).map(attempt));
    expect(wrong).toEqual([]);
    expect(vectors.length).toBeGreaterThan(30);
    const seen = ground.origin.requests.filter((request) => request !== 'GET /steady').slice(seenBefore);
    // A request may go wrong in its body, when its head has been forwarded: then it is recorded with its failure.
    expect(seen.length).toBeGreaterThanOrEqual(recorded.passed);
    expect(seen.length).toBeLessThanOrEqual(recorded.all);
    expect(seen.join()).not.toContain('smuggled');
  });
});

describe('stalled handshakes', () => {
  it('of 200 clients cost nobody else anything, and end with their time', async () => {
    const failures = await ground.metric('daylight_failures_total{code="CLIENT_HANDSHAKE_TIMEOUT"}');
    const say = await clientHelloBytes({ servername: 'a.example' });
    const stall = (): Promise<Heard> =>
      talk(ground.port, { before: tunnelTo(ground.origin.port), until: '\r\n\r\n', say, patienceMs: 25_000 });
    const heard = await Promise.all(Array.from({ length: 200 }, stall));
    // A ServerHello, and then the end.
    expect(heard.every(({ text }) => text.charCodeAt(0) === 22)).toBe(true);
    await expect
      .poll(() => ground.metric('daylight_failures_total{code="CLIENT_HANDSHAKE_TIMEOUT"}'), { timeout: 10_000 })
      .toBe(failures + 200);
  });

  it('of an origin cost its clients alone anything', async () => {
    const failures = await ground.metric('daylight_failures_total{code="ORIGIN_HANDSHAKE_TIMEOUT"}');
    await using silent = await startRawOrigin(undefined, () => {});
    const tls = { servername: 'localhost' };
    const visit = (): Promise<Heard> =>
      talk(ground.port, { before: tunnelTo(silent.port), until: '\r\n\r\n', tls, patienceMs: 25_000 });
    const heard = await Promise.all(Array.from({ length: 100 }, visit));
    expect(new Set(heard.map(({ error }) => error))).toEqual(new Set(['ERR_SSL_TLSV1_ALERT_INTERNAL_ERROR']));
    await expect
      .poll(() => ground.metric('daylight_failures_total{code="ORIGIN_HANDSHAKE_TIMEOUT"}'), { timeout: 10_000 })
      .toBe(failures + 100);
  });
});

describe('a body made for the rules', () => {
  it('is read to its end by rules that would hold a backtracking engine for ever', async () => {
    const ca = ground.gatewayCa;
    const socket = await openTlsTunnel(ground.port, `localhost:${ground.origin.port}`, { ca });
    const bomb = 'a'.repeat(1_048_576);
    const path = `/${'a'.repeat(4_000)}!`;
    let answer = '';
    socket.on('data', (chunk: Buffer) => {
      answer += chunk.toString('latin1');
    });
    socket.write(`POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${bomb.length + 9}\r\n\r\n`);
    socket.write(bomb);
    // The rule behind the bombs still sees what comes behind them.
    socket.write('detonated');
    await expect.poll(() => answer, { timeout: 20_000 }).toContain('bomb.proof');
    socket.destroy();
  });
});

describe('decompression bombs', () => {
  const zeros = Buffer.alloc(100_000_000);
  const quickly = { params: { [constants.BROTLI_PARAM_QUALITY]: 3 } };
  const twice = gzipSync(gzipSync(zeros));
  it('are blocked and counted, and cost nobody else anything', { timeout: 60_000 }, async () => {
    const bombs: readonly (readonly [coding: string, body: Buffer])[] = [
      ['gzip', gzipSync(zeros)],
      ['br', brotliCompressSync(zeros, quickly)],
      ['zstd', zstdCompressSync(zeros)],
      ['gzip, gzip', twice],
    ];
    const before = await ground.metric('daylight_failures_total{code="POLICY_BODY_BOMB"}');
    const light = async (coding: string, body: Buffer): Promise<string> => {
      const head = `POST /bomb HTTP/1.1\r\nHost: localhost\r\nContent-Encoding: ${coding}\r\nContent-Length: ${body.length}\r\n\r\n`;
      const { text } = await talk(ground.port, {
        before: tunnelTo(ground.origin.port),
        until: '\r\n\r\n',
        tls: { servername: 'localhost', ALPNProtocols: ['http/1.1'] },
        say: Buffer.concat([Buffer.from(head), body]),
        patienceMs: 25_000,
      });
      return text;
    };
    const four = [...bombs, ...bombs, ...bombs, ...bombs];
    const heard = await Promise.all(four.map(([coding, body]) => light(coding, body)));
    // Where the head has gone on already, there is nothing left to answer with.
    for (const text of heard) expect(text).toMatch(/^$|^HTTP\/1\.1 403 [\s\S]*POLICY_BODY_BOMB/);
    await expect
      .poll(() => ground.metric('daylight_failures_total{code="POLICY_BODY_BOMB"}'), { timeout: 10_000 })
      .toBeGreaterThanOrEqual(before + four.length);
  });
});

describe('a flood of server names', () => {
  /** Names in one certificate, each of which needs a leaf of its own. */
  const perOrigin = 510;

  it(`gets a leaf for each name that is proven and for no other, and keeps no more than the limit`, {
    timeout: 240_000,
  }, async () => {
    const origins: TestOrigin[] = [];
    const proven: (readonly [string, number])[] = [];
    for (const origin of ['one', 'two']) {
      const names = Array.from({ length: perOrigin }, (_, at) => nameOf(`n${at}.${origin}.example`));
      const opened = await startOrigin(await ground.authority.issue({ names }));
      origins.push(opened);
      proven.push(...names.map((name) => [name, opened.port] as const));
    }
    const port = ground.origin.port;
    const unproven = Array.from(
      { length: floodNames - proven.length },
      (_, at) => [nameOf(`u${at}.other.example`), port] as const,
    );
    // The client that behaves has its own leaf by now.
    await expect.poll(() => ground.metric('daylight_leafs_issued_total'), { timeout: 10_000 }).toBeGreaterThan(0);
    // What other programs take of the machine is not what is measured.
    if (isMeasured) for (const pid of [ground.gateway.pid, ...childrenOf(ground.gateway.pid)]) setPriority(pid, -19);
    const issuedBefore = await ground.metric('daylight_leafs_issued_total');
    const hello = await clientHelloBytes({ servername: nameOf('x') });
    const highest = { delayMs: 0, cpuMs: 0, leafs: 0 };
    const watch = setInterval(async () => {
      highest.delayMs = Math.max(highest.delayMs, await ground.metric('daylight_relay_event_loop_delay_ms'));
      highest.cpuMs = Math.max(highest.cpuMs, await ground.metric('daylight_relay_event_loop_cpu_ms'));
      highest.leafs = Math.max(highest.leafs, await ground.metric('daylight_leafs_cached'));
    }, 400);
    const first = await flood([...proven, ...unproven], hello);
    await expect.poll(() => ground.metric('daylight_leafs_cached'), { timeout: 10_000 }).toBe(limits.leafCacheEntries);
    clearInterval(watch);
    const stalls = await ground.metric('daylight_relay_event_loop_stalls_total');
    console.info(`${floodNames} names: ${JSON.stringify(highest)}, ${stalls} stalls`);
    // 22 is a handshake record, 21 an alert.
    expect(count(first.slice(0, proven.length), 22)).toBe(proven.length);
    expect(count(first.slice(proven.length), 21)).toBe(unproven.length);
    expect((await ground.metric('daylight_leafs_issued_total')) - issuedBefore).toBe(proven.length);
    expect(highest.leafs).toBeLessThanOrEqual(limits.leafCacheEntries);
    // Time is a figure of a quiet machine: beside other tests even CPU time of one turn was seen to triple.
    if (isMeasured) {
      expect.soft(highest.cpuMs).toBeLessThanOrEqual(limits.eventLoopStallMs);
      expect.soft(highest.delayMs).toBeLessThanOrEqual(limits.eventLoopStallMs);
    }
    for (const origin of origins) await origin[Symbol.asyncDispose]();
  });

  /** Says hello under each name, some at a time; gives the first octet of each answer. */
  async function flood(names: readonly (readonly [string, number])[], hello: Buffer): Promise<readonly number[]> {
    const answers = new Array<number>(names.length).fill(-1);
    const next = names.entries();
    const work = async (): Promise<void> => {
      for (const [index, [name, port]] of next) answers[index] = await greet(port, helloFor(hello, name));
    };
    await Promise.all(Array.from({ length: 16 }, work));
    return answers;
  }

  function greet(port: number, hello: Buffer): Promise<number> {
    return new Promise((resolve) => {
      let isTunnel = false;
      const socket = connect(ground.port, '127.0.0.1', () => socket.write(tunnelTo(port)));
      const finish = (answer: number): void => {
        socket.destroy();
        resolve(answer);
      };
      socket.on('error', () => finish(-1)).on('close', () => finish(-1));
      socket.on('data', (chunk: Buffer) => {
        if (isTunnel) return finish(chunk[0] ?? -1);
        isTunnel = true;
        socket.write(hello);
      });
    });
  }
});

const count = (answers: readonly number[], octet: number): number => answers.filter((each) => each === octet).length;

/** A name as long as every other one, so that a ClientHello can be made for it by writing it over another. */
const longest = 24;
function nameOf(name: string): string {
  return name.padStart(longest, 'x');
}

function helloFor(hello: Buffer, name: string): Buffer {
  const made = Buffer.from(hello);
  made.write(name, made.indexOf(nameOf('x')), 'latin1');
  return made;
}
