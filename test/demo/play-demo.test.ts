import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { startDemo } from '../../src/control/demo-gateway.ts';
import type { DemoScene } from '../../src/demo/demo-step.ts';
import { type PlayedStep, playDemo } from '../../src/demo/play-demo.ts';

/** Plays the demo with a gateway that is set otherwise. */
async function played(
  config: Readonly<Record<string, unknown>>,
  changed: (scene: DemoScene) => DemoScene = (scene) => scene,
): Promise<readonly PlayedStep[]> {
  const directory = mkdtempSync(join(tmpdir(), 'daylight-test-demo-'));
  const { signal: abort } = new AbortController();
  try {
    await using demo = await startDemo({ directory, config, env: process.env, abort });
    return await Array.fromAsync(playDemo(changed(demo)));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

const missedIn = (steps: readonly PlayedStep[]): Readonly<Record<string, readonly string[]>> =>
  Object.fromEntries(
    steps.flatMap(({ id, ok, claims }) =>
      ok ? [] : [[id, claims.filter(({ holds }) => !holds).map(({ says }) => says)]],
    ),
  );

describe('the demo of a gateway that is not as it should be', { timeout: 100_000 }, () => {
  it('fails where the origin that should be refused is served', async () => {
    const steps = await played({}, (scene) => ({
      ...scene,
      origins: { ...scene.origins, expired: scene.origins.web },
    }));
    expect(missedIn(steps)).toEqual({
      'origin-refused': [
        'the client is not answered by the origin',
        'no byte of the request reaches the origin',
        'the record has the failure ORIGIN_CERT_EXPIRED',
      ],
    });
  });

  it('fails where nothing is read: clients meet the origins themselves, whose CA they do not know', async () => {
    const bypass = [{ hosts: ['localhost', '127.0.0.1'], reason: 'to fail' }];
    // No record of what was not read comes, however long it is waited for.
    const steps = await played({ bypass }, (scene) => ({ ...scene, records: { ...scene.records, patienceMs: 500 } }));
    expect(steps.filter(({ ok }) => ok).map(({ id }) => id)).toEqual([]);
    expect(missedIn(steps)['web-inspected']).toContain('the client is answered 201');
    expect(missedIn(steps)['mail-inspected']).toContain('the origin has the mail once');
    expect(missedIn(steps)['file-blocked']).toContain('an alarm names the rule demo.files.private-key');
  });
});
