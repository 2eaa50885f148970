import type { NameConstraints, RawName } from './extensions.ts';
import { ipOctets } from './ip-address.ts';

/**
 * Why constraints of a CA forbid a verified name; undefined when they allow it. They are held against the name itself,
 * not against the certificate's wildcard: OpenSSL lets `*.example.com` pass an exclusion of `bad.example.com`
 * (the class of CVE-2025-61727).
 */
export function constraintFault(constraints: NameConstraints, name: string): string | undefined {
  const octets = ipOctets(name);
  const kind = octets === undefined ? 'dns' : 'ip';
  const covers = (subtree: RawName): boolean =>
    octets === undefined ? coversHost(subtree.octets, name) : coversAddress(subtree.octets, octets);
  const excluded = constraints.excluded.filter((subtree) => subtree.kind === kind);
  if (excluded.some(covers)) return 'a CA of the chain is constrained away from the name';
  const permitted = constraints.permitted.filter((subtree) => subtree.kind === kind);
  if (permitted.length > 0 && !permitted.some(covers)) return 'a CA of the chain is constrained to other names';
  return undefined;
}

/** RFC 5280 section 4.2.1.10: a host constraint covers itself and all below; a leading dot, only what is below. */
function coversHost(subtree: Buffer, name: string): boolean {
  const base = subtree.toString('latin1').toLowerCase();
  if (base === '') return true;
  if (base.startsWith('.')) return name.endsWith(base);
  return name === base || name.endsWith(`.${base}`);
}

/** An address constraint is the network's octets followed by its mask. */
function coversAddress(subtree: Buffer, address: Buffer): boolean {
  if (subtree.length !== address.length * 2) return false;
  return address.every((octet, index) => {
    const mask = subtree[address.length + index] ?? 0;
    return (octet & mask) === ((subtree[index] ?? 0) & mask);
  });
}
