import type { OpaqueProtocol } from '../core/opening.ts';

/**
 * What a recogniser makes of a prefix: a protocol, `maybe` while more bytes could make it one, or undefined when none can.
 * It never changes its mind: what it says of a prefix, other than `maybe`, it says of all longer ones, so that the verdict
 * does not depend on how the bytes were cut into segments.
 */
export type Guess = OpaqueProtocol | 'http1' | 'http2' | 'maybe' | undefined;
