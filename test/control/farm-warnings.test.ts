import { expect, it } from 'vitest';
import { FarmWarnings } from '../../src/control/farm-warnings.ts';

async function told(): Promise<void> {
  // Node tells of a warning in the next turn.
  await new Promise((resolve) => setImmediate(resolve));
}

it('warnings of weak parameters are kept quiet while the farm stands, and no others', async () => {
  const before = process.listeners('warning');
  const heard: string[] = [];
  process.removeAllListeners('warning').on('warning', ({ message }) => heard.push(message));
  try {
    {
      using _warnings = new FarmWarnings();
      process.emitWarning('DH parameter is less than 2048 bits', 'SecurityWarning');
      process.emitWarning('something else');
      await told();
      expect(heard).toEqual(['something else']);
    }
    process.emitWarning('afterwards', 'SecurityWarning');
    await told();
    expect(heard).toEqual(['something else', 'afterwards']);
  } finally {
    process.removeAllListeners('warning');
    for (const listener of before) process.on('warning', listener);
  }
});
