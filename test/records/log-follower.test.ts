import { appendFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { findLogs } from '../../src/records/log-files.ts';
import { LogFollower } from '../../src/records/log-follower.ts';

const line = (time: number): string => `{"time":${time},"class_uid":4002}\n`;

it('follows the file that was seen, although it was set aside before it could be opened', () => {
  const directory = mkdtempSync(join(tmpdir(), 'daylight-follow-'));
  const current = join(directory, 'traffic-0.ndjson');
  writeFileSync(current, line(1));
  const seen = findLogs(directory, ['traffic']);
  appendFileSync(current, line(2));
  renameSync(current, join(directory, 'traffic-0.20261122T100000000Z.ndjson'));
  writeFileSync(current, line(3) + line(4));
  const follower = new LogFollower(directory, ['traffic'], seen);
  expect(follower.look().map(({ timeMs }) => timeMs)).toEqual([2, 3, 4]);
  expect(follower.look()).toEqual([]);
  follower.close();
  rmSync(directory, { recursive: true });
});
