import type { ClientHello } from '../core/tls.ts';

/** What an origin leg must not fall below, because its client offers nothing less. */
export interface OriginFloor {
  /** TLS 1.3 alone. */
  readonly tls13: boolean;
  /** Post-quantum hybrid groups alone. */
  readonly hybrid: boolean;
  /** Keys of 256 bits alone. */
  readonly strong: boolean;
}

export const noFloor: OriginFloor = { tls13: false, hybrid: false, strong: false };

/** X25519MLKEM768, SecP256r1MLKEM768, SecP384r1MLKEM1024. */
const hybridGroups: ReadonlySet<number> = new Set([0x11ec, 0x11eb, 0x11ed]);
/** Suites with AES-256 or ChaCha20, of TLS 1.3 and 1.2. */
const strongSuites: ReadonlySet<number> = new Set([
  0x1302, 0x1303, 0xc02c, 0xc030, 0xcca8, 0xcca9, 0xccaa, 0x009f, 0x009d, 0xc024, 0xc028, 0xc00a, 0xc014, 0x0035,
  0x0039, 0x003d, 0x006b,
]);
/** Values that stand in the list of suites and are none (RFC 5746 section 3.3, RFC 7507). */
const signals: ReadonlySet<number> = new Set([0x00ff, 0x5600]);

/**
 * The weakest that a client offers. What it would have refused when it dialled itself, it shall not be given behind its
 * back: a session is as strong as its weaker leg.
 */
export function originFloorOf(hello: ClientHello): OriginFloor {
  const groups = hello.groups.filter(isReal);
  const suites = hello.cipherSuites.filter((suite) => isReal(suite) && !signals.has(suite));
  const hybrid = groups.length > 0 && groups.every((group) => hybridGroups.has(group));
  return {
    // Hybrid groups exist in TLS 1.3 alone.
    tls13: hybrid || hello.versions.filter(isReal).every((version) => version >= 0x0304),
    hybrid,
    strong: suites.length > 0 && suites.every((suite) => strongSuites.has(suite)),
  };
}

/** In what an agreed leg is below a floor; undefined when in nothing. `group` is as OpenSSL names it. */
export function floorBreach(
  floor: OriginFloor,
  leg: { readonly version: string; readonly cipher: string; readonly group: string },
): string | undefined {
  if (floor.tls13 && leg.version !== 'TLSv1.3') return `${leg.version} where the client offers TLS 1.3 alone`;
  if (floor.hybrid && !leg.group.includes('MLKEM')) return 'no hybrid group where the client offers no other';
  if (floor.strong && !/256[_-]GCM|CHACHA20/.test(leg.cipher))
    return `${leg.cipher} where the client offers 256 bits alone`;
  return undefined;
}

/** GREASE values mean nothing (RFC 8701 section 2). */
function isReal(value: number): boolean {
  return (value & 0x0f0f) !== 0x0a0a;
}
