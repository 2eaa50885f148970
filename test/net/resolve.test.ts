import { describe, expect, it } from 'vitest';
import { limits } from '../../src/core/limits.ts';
import { createResolver } from '../../src/net/resolve.ts';
import { failureCode } from '../support/failure-code.ts';
import { sleep } from '../support/tcp.ts';

describe('a resolver', () => {
  it('asks the system, hosts file included', async () => {
    expect(await createResolver()('localhost')).toContain('127.0.0.1');
  });

  it('asks once for many who want the same name, and remembers', async () => {
    let questions = 0;
    const resolve = createResolver({
      ask: async () => {
        questions++;
        await sleep(10);
        return ['192.0.2.1'];
      },
    });
    const answers = await Promise.all(Array.from({ length: 10 }, () => resolve('origin.example')));
    answers.push(await resolve('origin.example'));
    expect(new Set(answers.flat())).toEqual(new Set(['192.0.2.1']));
    expect(questions).toBe(1);
    await resolve('other.example');
    expect(questions).toBe(2);
  });

  it('remembers a name that does not resolve, but not for long', async () => {
    let questions = 0;
    const resolve = createResolver({
      ask: async () => {
        questions++;
        throw Object.assign(new Error('getaddrinfo ENOTFOUND nowhere.example'), { code: 'ENOTFOUND' });
      },
    });
    await expect(resolve('nowhere.example')).rejects.toMatchObject({
      code: 'ORIGIN_NAME_UNRESOLVED',
      detail: 'nowhere.example: ENOTFOUND',
    });
    expect(await failureCode(resolve('nowhere.example'))).toBe('ORIGIN_NAME_UNRESOLVED');
    expect(questions).toBe(1);
    await sleep(limits.unresolvedNameMs + 50);
    expect(await failureCode(resolve('nowhere.example'))).toBe('ORIGIN_NAME_UNRESOLVED');
    expect(questions).toBe(2);
  });

  it('does not wait for a resolver that does not answer, and takes its answer when it comes', async () => {
    let answer = (_: readonly string[]): void => {};
    const resolve = createResolver({ ask: () => new Promise((settle) => (answer = settle)), timeoutMs: 30 });
    const startMs = performance.now();
    expect(await failureCode(resolve('slow.example'))).toBe('ORIGIN_NAME_UNRESOLVED');
    expect(performance.now() - startMs).toBeLessThan(1_000);
    answer(['192.0.2.2']);
    expect(await resolve('slow.example')).toEqual(['192.0.2.2']);
  });

  it('bounds the questions under way', async () => {
    const resolve = createResolver({ ask: () => new Promise(() => {}), timeoutMs: 50 });
    const asked = Array.from({ length: limits.resolvePending }, (_, index) => failureCode(resolve(`${index}.example`)));
    expect(await failureCode(resolve('one-more.example'))).toBe('GATEWAY_OVERLOADED');
    expect(new Set(await Promise.all(asked))).toEqual(new Set(['ORIGIN_NAME_UNRESOLVED']));
  });

  it('lets one client hold up no more than its share, whatever names it asks for', async () => {
    const asked: string[] = [];
    const resolve = createResolver({
      ask: async (host) => {
        asked.push(host);
        return host.startsWith('slow') ? new Promise(() => {}) : ['192.0.2.1'];
      },
      timeoutMs: 200,
    });
    const slow = Array.from({ length: limits.resolvePending }, (_, index) =>
      failureCode(resolve(`slow${index}.example`, '192.0.2.10')),
    );
    // Names that it has behind those, too.
    const behind = failureCode(resolve('known.example', '192.0.2.10'));
    expect(await resolve('known.example', '192.0.2.11')).toEqual(['192.0.2.1']);
    expect(await resolve('other.example', '192.0.2.12')).toEqual(['192.0.2.1']);
    expect(asked.filter((host) => host.startsWith('slow'))).toHaveLength(limits.resolveAtOnce / 2);
    expect(new Set(await Promise.all(slow))).toEqual(new Set(['ORIGIN_NAME_UNRESOLVED', 'GATEWAY_OVERLOADED']));
    expect(await behind).toBe('GATEWAY_OVERLOADED');
  });

  it('has those wait that are beyond a share, and asks for them in their turn', async () => {
    let open = 0;
    let most = 0;
    const resolve = createResolver({
      ask: async () => {
        most = Math.max(most, ++open);
        await sleep(5);
        open--;
        return ['192.0.2.1'];
      },
    });
    const names = Array.from({ length: 40 }, (_, index) => resolve(`${index}.example`, '192.0.2.10'));
    expect(await Promise.all(names)).toHaveLength(40);
    expect(most).toBe(limits.resolveAtOnce / 2);
  });

  it('takes an empty answer for none', async () => {
    expect(await failureCode(createResolver({ ask: async () => [] })('empty.example'))).toBe('ORIGIN_NAME_UNRESOLVED');
  });
});
