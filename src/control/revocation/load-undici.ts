import { createRequire } from 'node:module';
import { setImmediate as nextTurn } from 'node:timers/promises';

/** Its larger parts, smaller ones first: each brings along what it needs and has not been loaded yet. */
const parts = [
  'core/connect',
  'dispatcher/client',
  'dispatcher/agent',
  'dispatcher/proxy-agent',
  'mock/mock-agent',
  'web/fetch/headers',
  'web/fetch/response',
  'web/fetch',
  'web/cache/cachestorage',
  'web/websocket/websocket',
];

/**
 * Loads undici part by part, each in a turn of its own, so that the import of the whole finds it loaded: in one turn it
 * takes up to 150 ms, in which control signs no leaf. A part that a later version does not have is left to that import.
 */
export async function loadUndici(): Promise<void> {
  const load = createRequire(createRequire(import.meta.url).resolve('undici'));
  for (const part of parts) {
    try {
      load(`./lib/${part}`);
    } catch {
      continue;
    }
    await nextTurn();
  }
}
