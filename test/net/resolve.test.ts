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

  it('takes an empty answer for none', async () => {
    expect(await failureCode(createResolver({ ask: async () => [] })('empty.example'))).toBe('ORIGIN_NAME_UNRESOLVED');
  });
});
