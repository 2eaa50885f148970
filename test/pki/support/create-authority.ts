import { loadOrCreateAuthority } from '../../../src/pki/authority.ts';

/** A process of its own that loads or makes the authority of a directory and prints which one it is. */
const [directory = '', startAt = '0'] = process.argv.slice(2);
// All processes start at the same time, however long each took to come up.
while (Date.now() < Number(startAt)) await new Promise((resolve) => setImmediate(resolve));
const { active, untrusted } = await loadOrCreateAuthority(directory);
console.log(`${active.fingerprint256} ${untrusted.fingerprint256}`);
