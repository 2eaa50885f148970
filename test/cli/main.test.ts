import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Ran, run } from '../support/run.ts';

const project = resolve(import.meta.dirname, '../..');
const main = join(project, 'src/main.ts');
let directory: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'daylight-cli-'));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

function daylight(...args: readonly string[]): Promise<Ran> {
  return run(process.execPath, [main, ...args], { cwd: directory });
}

function write(name: string, text: string): string {
  writeFileSync(join(directory, name), text);
  return name;
}

describe('the command line', () => {
  test('names its versions', async () => {
    expect(await daylight('--version')).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^daylight \d+\.\d+\.\d+ \(node 26\.\d+\.\d+\)\n$/),
      stderr: '',
    });
  });

  test.each([['--help'], ['-h'], ['help']])('lists its commands by %s', async (option) => {
    const { code, stdout } = await daylight(option);
    expect(code).toBe(0);
    for (const command of ['start', 'check', 'ca', 'exec', 'logs', 'net']) {
      expect(stdout).toMatch(new RegExp(`^  ${command} +\\w`, 'm'));
    }
  });

  test.each(['start', 'check', 'ca', 'exec', 'logs', 'net'])('%s explains itself by --help', async (command) => {
    const { code, stdout, stderr } = await daylight(command, '--help');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(new RegExp(`^Usage: daylight ${command}\\b`));
    expect((await daylight('help', command)).stdout).toBe(stdout);
  });

  test('refuses an unknown command and says which one was meant', async () => {
    expect(await daylight('chek')).toMatchObject({
      code: 2,
      stdout: '',
      stderr: expect.stringContaining('unknown command "chek"; did you mean "check"?'),
    });
  });

  test.each(['start', 'check', 'exec', 'ca', 'logs', 'net'])('%s refuses an unknown option', async (command) => {
    const { code, stderr } = await daylight(command, '--cnfig', 'x');
    expect(code).toBe(2);
    expect(stderr).toContain('--cnfig');
  });

  test('says which option was meant', async () => {
    expect((await daylight('check', '--cofnig', 'x')).stderr).toContain('did you mean --config?');
    expect((await daylight('ca', 'show', '--cofnig', 'x')).stderr).toBe(
      "daylight ca: Unknown option '--cofnig'; did you mean --config?\nMore: daylight ca --help\n",
    );
    expect((await daylight('--cofnig', 'x')).stderr).toContain('did you mean --config?');
    expect((await daylight('start', 'daylight.yaml')).stderr).toContain("Unexpected argument 'daylight.yaml'\n");
  });

  test('says that dashes were left out', async () => {
    expect((await daylight('demo', 'keep')).stderr).toContain("Unexpected argument 'keep'");
    expect((await daylight('demo', 'keep')).stderr).toContain('did you mean --keep?');
  });

  test('is named as the user calls it', async () => {
    const help = async (env: NodeJS.ProcessEnv): Promise<string> =>
      (await run(process.execPath, [main, '--help'], { env: { ...process.env, ...env } })).stdout;
    expect(await help({ npm_lifecycle_event: 'start' })).toMatch(/^Usage: npm start -- \[COMMAND\]/);
    expect(await help({ npm_lifecycle_event: 'test' })).toMatch(/^Usage: daylight \[COMMAND\]/);
  });

  test('ends quietly when the reader of its output is gone', async () => {
    const { code, stderr } = await run('sh', ['-c', `"${process.execPath}" "${main}" --help | head -n 0`]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  });
});

describe('check', () => {
  test('says in one line that a configuration is valid', async () => {
    const file = write('good.yaml', 'relays: 2\nassets: [{ id: a, kind: cvm, addresses: [10.0.0.1] }]\n');
    expect(await daylight('check', '--config', file)).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(
        /^good\.yaml: ok \(1 listener, 1 asset, 0 rules in 0 files, 2 relays, policy [0-9a-f]{12}\)\n$/,
      ),
      stderr: '',
    });
  });

  test('prints every error with file, line and column, and exits with 3', async () => {
    const file = write(
      'bad.yaml',
      'relays: many\nlisteners:\n  - { mode: explicit, listen: "127.0.0.1" }\ncolour: red\n',
    );
    const { code, stdout, stderr } = await daylight('check', '--config', file);
    expect({ code, stdout }).toEqual({ code: 3, stdout: '' });
    expect(stderr.split('\n')).toEqual([
      'bad.yaml:1:9: relays: must be "auto" or a number between 1 and 64',
      expect.stringMatching(/^bad\.yaml:3:31: listeners\[0\]\.listen: /),
      expect.stringMatching(/^bad\.yaml:4:1: colour: unknown key; known here: /),
      'bad.yaml: 3 errors',
      '',
    ]);
  });

  test('prints warnings, and exits with 0 all the same', async () => {
    const file = write('open.yaml', 'listeners:\n  - { mode: explicit, listen: "0.0.0.0:8080" }\n');
    const { code, stderr } = await daylight('check', file);
    expect(code).toBe(0);
    expect(stderr).toMatch(/^open\.yaml:2:31: listeners\[0\]\.listen: warning: /);
  });

  test('names the default configuration when that is missing', async () => {
    expect(await daylight('check')).toMatchObject({
      code: 3,
      stderr: 'config/daylight.yaml:1:1: does not exist\nconfig/daylight.yaml: 1 error\n',
    });
  });

  test('is reached through npm start', async () => {
    const { code, stdout } = await run(
      'npm',
      ['start', '--silent', '--', 'check', '--config', 'config/daylight.yaml'],
      {
        cwd: project,
      },
    );
    expect(code).toBe(0);
    expect(stdout).toMatch(/^config\/daylight\.yaml: ok \(1 listener, /);
  });
});

describe('exec, before a gateway is needed', () => {
  test('asks for a command', async () => {
    expect(await daylight('exec', '--')).toMatchObject({ code: 2, stderr: expect.stringContaining('no command') });
  });

  test('refuses a broken configuration with its errors', async () => {
    const file = write('broken.yaml', 'relays: many\n');
    expect(await daylight('exec', '--config', file, '--', 'true')).toMatchObject({
      code: 3,
      stderr: expect.stringMatching(/^broken\.yaml:1:9: relays: /),
    });
  });
});
