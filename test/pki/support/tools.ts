import { execFile, execFileSync, spawn, spawnSync } from 'node:child_process';
import { promisify } from 'node:util';

/** Whether a program of the system is there; tests that need it skip loudly when it is not. */
export function hasTool(command: string, ...args: readonly string[]): boolean {
  const found = spawnSync(command, args, { stdio: 'ignore' }).error === undefined;
  if (!found) console.warn(`SKIPPED: tests that need ${command}, which is not installed`);
  return found;
}

/** Runs a program and returns both of its outputs and its exit code; never throws on a bad exit. */
export function runTool(
  command: string,
  args: readonly string[],
  input?: string,
): { readonly output: string; readonly status: number | null } {
  const { stdout, stderr, status } = spawnSync(command, args, { input, encoding: 'utf8', timeout: 20_000 });
  return { output: `${stdout}${stderr}`, status };
}

/** Runs a program that must succeed; returns its standard output. */
export function outputOf(command: string, args: readonly string[], input?: string): string {
  return execFileSync(command, args, { input, encoding: 'utf8', timeout: 20_000, stdio: ['pipe', 'pipe', 'pipe'] });
}

/** Runs a program beside a server of this process; resolves with both outputs, rejects on a bad exit. */
export async function spawnTool(
  command: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
): Promise<string> {
  const { stdout, stderr } = await promisify(execFile)(command, args, { encoding: 'utf8', timeout: 20_000, env });
  return `${stdout}${stderr}`;
}

/** Runs a program beside a server of this process, whatever its exit; input is written at once and ended after a second. */
export function runToolBeside(
  command: string,
  args: readonly string[],
  input = '',
): Promise<{ readonly output: string; readonly status: number | null }> {
  return new Promise((resolve) => {
    const child = spawn(command, args, { timeout: 20_000 });
    let output = '';
    const collect = (text: Buffer): void => {
      output += text;
    };
    child.stdout.on('data', collect);
    child.stderr.on('data', collect);
    child.stdin.on('error', () => {});
    // Programs such as s_client obey what they read only once their session stands.
    const timer = setTimeout(() => child.stdin.end(input), input === '' ? 0 : 500);
    child.on('close', (status) => {
      clearTimeout(timer);
      resolve({ output, status });
    });
  });
}
