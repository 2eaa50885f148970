import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort, type RunningGateway, startGateway } from '../support/gateway.ts';
import { reverse } from '../support/reverse-listener.ts';
import { hasProgram, run } from '../support/run.ts';
import { createTestAuthority } from '../support/test-authority.ts';
import { type RunningVsftpd, startVsftpd } from '../support/vsftpd.ts';

const canRun = process.getuid?.() === 0 && ['vsftpd', 'curl', 'tar', 'python3'].every(hasProgram);

/** Archives as real programs make them, by FTP under TLS: rules know what they hold. */
describe.runIf(canRun)('archives that are transferred by FTP', () => {
  let vsftpd: RunningVsftpd;
  let gateway: RunningGateway;
  let url: string;

  beforeAll(async () => {
    const authority = await createTestAuthority();
    vsftpd = await startVsftpd(await authority.issue({ names: ['localhost'] }));
    const port = await freePort();
    url = `ftp://localhost:${port}`;
    gateway = await startGateway({
      files: {
        'root.pem': authority.rootPem,
        'ftp.yaml': `
- { id: plan-inside, title: Plan in an archive, action: alarm, when: { field: ftp.file.member, suffix: plan.txt } }
- { id: key-inside, title: Key in an archive, action: block, when: { field: ftp.file.member, suffix: .key } }
`,
      },
      config: {
        rules: { files: ['$DIRECTORY/ftp.yaml'] },
        listeners: [reverse(port, vsftpd.port)],
        originTrust: { system: false, files: ['$DIRECTORY/root.pem'] },
      },
    });
    const folder = join(gateway.directory, 'packed');
    mkdirSync(folder);
    // Larger than the last bytes that wait for the verdict, and not to be compressed.
    writeFileSync(join(folder, 'noise.bin'), Buffer.from(crypto.getRandomValues(new Uint8Array(60_000))));
    writeFileSync(join(folder, 'plan.txt'), 'a plan\n');
    writeFileSync(join(folder, 'server.key'), 'a key\n');
    for (const name of ['plan.txt', 'server.key']) {
      const kind = name.endsWith('.key') ? 'key' : 'plan';
      const members = ['packed/noise.bin', `packed/${name}`];
      for (const [program, ...args] of [
        ['tar', '-czf', `${kind}.tar.gz`, ...members],
        ['python3', '-m', 'zipfile', '-c', `${kind}.zip`, ...members],
      ]) {
        const { code, stderr } = await run(program ?? '', args, { cwd: gateway.directory });
        if (code !== 0) throw new Error(stderr);
      }
    }
  }, 60_000);
  afterAll(async () => {
    await gateway?.[Symbol.asyncDispose]();
    await vsftpd?.[Symbol.asyncDispose]();
  });

  const curl = (...args: readonly string[]) =>
    run('curl', ['-sS', '-v', '-m', '20', '--ssl-reqd', '--cacert', gateway.caFile, '-u', 'anonymous:x@y', ...args]);
  const packed = (file: string) => join(gateway.directory, file);
  const alarms = (id: string) =>
    gateway.records('alarms').filter((record) => JSON.stringify(record).includes(`"uid":"${id}"`));

  it.each(['plan.zip', 'plan.tar.gz'])('%s passes in both directions, with an alarm for a member', async (file) => {
    const before = alarms('plan-inside').length;
    const up = await curl('-T', packed(file), `${url}/in/${file}`);
    expect(up.code, up.stderr).toBe(0);
    await expect.poll(() => vsftpd.uploaded(file)?.equals(readFileSync(packed(file)))).toBe(true);
    writeFileSync(join(vsftpd.root, file), readFileSync(packed(file)));
    const out = packed('out');
    const down = await curl(`${url}/${file}`, '-o', out);
    expect(down.code, down.stderr).toBe(0);
    expect(readFileSync(out).equals(readFileSync(packed(file)))).toBe(true);
    await expect.poll(() => alarms('plan-inside').length).toBe(before + 2);
  });

  it.each(['key.zip', 'key.tar.gz'])('%s is blocked in both directions for a member, and never whole', async (file) => {
    const size = readFileSync(packed(file)).length;
    const up = await curl('-T', packed(file), `${url}/in/${file}`);
    expect(up.code).not.toBe(0);
    expect(up.stderr).toContain('550 POLICY_RULE_BLOCK key-inside');
    expect(vsftpd.uploaded(file)?.length ?? 0).toBeLessThan(size);
    writeFileSync(join(vsftpd.root, file), readFileSync(packed(file)));
    const out = packed('out');
    rmSync(out, { force: true });
    const down = await curl(`${url}/${file}`, '-o', out);
    expect(down.code).not.toBe(0);
    expect(existsSync(out) ? readFileSync(out).length : 0).toBeLessThan(size);
    const blocked = () =>
      gateway
        .records('traffic')
        .filter(({ status_code, name }) => status_code === 'POLICY_RULE_BLOCK' && String(name).endsWith(file));
    await expect.poll(() => blocked().length).toBe(2);
    await expect.poll(() => alarms('key-inside').length).toBeGreaterThanOrEqual(2);
  });
});
