/**
 * Faults that a gateway can be told to have, so that what it does about them can be tried (as Suricata's exception
 * policies can be). Only `daylight start --simulate` switches one on, and says so.
 */
export const faults = {
  inspection: 'an inspector throws at the head of a request',
  evaluation: 'a rule fails while it reads a body',
  decoding: 'there is no memory to undo the coding of a body',
  validation: 'the check of an origin throws',
  signing: 'the key of the CA cannot sign',
  random: 'the random number generator fails when a leaf gets its serial number',
  'issuance-log': 'the issuance log cannot be written',
  'signer-silence': 'control does not answer requests for leafs',
  records: 'record files cannot be written',
  reload: 'relays cannot take up a policy',
} as const satisfies Record<string, string>;

/** Name of a fault. */
export type Fault = keyof typeof faults;

let simulated: ReadonlySet<Fault> = new Set();
let told: (fault: Fault) => void = () => {};

/** Switches faults on for the life of this process. `onStrike` is told each time that one strikes. */
export function simulate(chosen: readonly Fault[], onStrike: (fault: Fault) => void): void {
  simulated = new Set(chosen);
  told = onStrike;
}

/** Whether a fault strikes here. */
export function strikes(fault: Fault): boolean {
  if (!simulated.has(fault)) return false;
  told(fault);
  return true;
}

/** Throws where a fault strikes: at the place where the real one would. */
export function strike(fault: Fault, code?: string): void {
  if (!strikes(fault)) return;
  throw Object.assign(new Error(`simulated: ${faults[fault]}`), code === undefined ? {} : { code });
}
