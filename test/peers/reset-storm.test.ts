import { afterAll, beforeAll, expect, it } from 'vitest';
import { type HostileGround, openHostileGround } from '../support/hostile-ground.ts';
import { answerByPath, breakOff, misdeeds, perform, type Stage } from '../support/misdeeds.ts';
import { type RawOrigin, startRawOrigin } from '../support/raw-origin.ts';
import { failureOf, isFlow } from '../support/record-fields.ts';

const connections = 500;
const atOnce = 25;
let ground: HostileGround;
let origin: RawOrigin;
let broken: RawOrigin;

beforeAll(async () => {
  ground = await openHostileGround();
  origin = await startRawOrigin(ground.credentials, answerByPath);
  broken = await startRawOrigin(undefined, () => {}, breakOff);
});
afterAll(async () => {
  await ground?.[Symbol.asyncDispose]();
  await origin?.[Symbol.asyncDispose]();
  await broken?.[Symbol.asyncDispose]();
});

it('500 connections that are reset at every stage, on either side, cost nobody else anything', async () => {
  const stage: Stage = { proxyPort: ground.port, originPort: origin.port, brokenPort: broken.port };
  const ways = Object.values(misdeeds);
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let index = next++; index < connections; index = next++) {
      const way = ways[index % ways.length];
      if (way !== undefined) await perform(way, stage);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  const before = ground.steady.outcomes.length;
  await expect.poll(() => ground.steady.outcomes.length, { timeout: 10_000 }).toBeGreaterThan(before + 3);
  expect(ground.steady.harm()).toEqual([]);
  expect(ground.gateway.log()).not.toMatch(/RELAY_CRASHED|GATEWAY_INTERNAL/);
  await expect.poll(() => ground.metric('daylight_flows_open'), { timeout: 10_000 }).toBeLessThanOrEqual(1);

  // Each has its record, with a code of the catalogue; none is the gateway's own fault.
  const flows = (
    await ground.gateway.waitForRecords('traffic', (all) => all.filter(isFlow).length >= connections)
  ).filter(isFlow);
  const codes = new Map<unknown, number>();
  for (const flow of flows) codes.set(failureOf(flow), (codes.get(failureOf(flow)) ?? 0) + 1);
  expect([...codes.keys()].filter((code) => String(code).startsWith('GATEWAY_'))).toEqual([]);
  for (const code of ['CLIENT_GONE', 'ORIGIN_GONE', 'ORIGIN_TRUNCATED', 'ORIGIN_REFUSED', 'ORIGIN_HTTP_AMBIGUOUS']) {
    expect(codes.get(code), code).toBeGreaterThan(connections / ways.length / 2);
  }
}, 90_000);
