import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { banner } from '../../src/control/banner.ts';
import { loadPolicy } from '../../src/control/policy-source.ts';

test('the banner of a gateway that is transparent alone says how traffic comes to it', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'daylight-test-banner-'));
  try {
    const file = join(directory, 'daylight.yaml');
    const config = {
      listeners: [{ mode: 'transparent', listen: '[::]:8443', capture: 'redirect' }],
      authority: { directory: join(directory, 'certs') },
    };
    writeFileSync(file, JSON.stringify(config));
    const text = banner(await loadPolicy(file), 'npm start --');
    expect(text).toContain('  transparent  [::]:8443  redirect\n');
    expect(text).toContain('  Next:  npm start -- net up --help  (sends traffic here)\n');
    expect(text).not.toContain('Try:');
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
