import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type LoadOutcome, loadConfig } from '../../src/config/load.ts';

/** A directory of its own for one test, from which a gateway could be started. */
export class Workspace implements Disposable {
  readonly directory = mkdtempSync(join(tmpdir(), 'daylight-config-'));

  path(name: string): string {
    return join(this.directory, name);
  }

  write(name: string, content: string | Buffer): void {
    mkdirSync(dirname(this.path(name)), { recursive: true });
    writeFileSync(this.path(name), content);
  }

  /** Loads a text as `daylight.yaml` of this directory. */
  load(text: string | Buffer): LoadOutcome {
    this.write('daylight.yaml', text);
    return this.loadFile('daylight.yaml');
  }

  loadFile(name: string): LoadOutcome {
    return loadConfig(name, this.directory);
  }

  [Symbol.dispose](): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** What a load says is wrong, one line each, without the name of the file. */
export function complaints(outcome: LoadOutcome): readonly string[] {
  if (outcome.kind === 'loaded') return [];
  return outcome.problems.map(({ file, line, column, path, message }) => {
    const place = file === 'daylight.yaml' ? `${line}:${column}` : `${file}:${line}:${column}`;
    return `${place} ${path === '' ? '' : `${path}: `}${message}`;
  });
}
