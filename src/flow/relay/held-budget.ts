import { limits } from '../../core/limits.ts';

/** Why there is no room: all of the memory is taken, or this client has what one may have. */
export type Shortage = 'full' | 'share';

/** How much may be held at once, in all and by one client. */
export interface HeldMost {
  readonly bytes: number;
  readonly clientBytes: number;
}

/** So much in all, and the share of it for one client. */
export function mostOf(bytes: number): HeldMost {
  return { bytes, clientBytes: bytes * limits.clientShare };
}

/** What is held at once in this process, and what of it each client has. */
export class HeldBudget {
  #bytes = 0;
  /** Of addresses that hold something, and of no others. */
  readonly #byAddress = new Map<string, number>();

  /** Why so many bytes more cannot be had. */
  shortage(address: string, bytes: number, most: HeldMost): Shortage | undefined {
    if ((this.#byAddress.get(address) ?? 0) + bytes > most.clientBytes) return 'share';
    return this.#bytes + bytes > most.bytes ? 'full' : undefined;
  }

  /** Whether an address has more than an equal part of all that is held. */
  hasMoreThanPart(address: string): boolean {
    return (this.#byAddress.get(address) ?? 0) * this.#byAddress.size > this.#bytes;
  }

  take(address: string, bytes: number): void {
    this.#bytes += bytes;
    this.#byAddress.set(address, (this.#byAddress.get(address) ?? 0) + bytes);
  }

  give(address: string, bytes: number): void {
    this.#bytes -= bytes;
    const left = (this.#byAddress.get(address) ?? 0) - bytes;
    if (left > 0) this.#byAddress.set(address, left);
    else this.#byAddress.delete(address);
  }
}
