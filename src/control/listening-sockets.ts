import { FlowFailure } from '../core/failures.ts';
import type { ListenerPolicy } from '../core/policy.ts';
import { closeListeningSocket, openListeningSockets } from '../net/listen.ts';

/** Listening sockets of one listener: one per relay slot, so that the kernel spreads connections over relays. */
interface OpenListener {
  readonly key: string;
  readonly descriptors: readonly (number | undefined)[];
}

/**
 * The listening sockets, owned by control for the life of the gateway. Relays inherit them, so a relay that crashes or is
 * replaced closes none: connections wait in the kernel's queue for its successor.
 */
export class ListeningSockets {
  #open = new Map<string, OpenListener>();
  #retired: readonly OpenListener[] = [];

  /** Opens what is missing for these listeners; on failure everything opened by this call is closed again. */
  open(listeners: readonly ListenerPolicy[], slots: number): void {
    const opened: OpenListener[] = [];
    const next = new Map<string, OpenListener>();
    try {
      for (const listener of listeners) {
        const key = keyOf(listener, slots);
        // A listener that a failed reload had taken out is still open.
        const present = [...this.#open.values(), ...this.#retired].find((entry) => entry.key === key);
        const entry = present ?? openAll(this.#checked(listener), slots);
        if (present === undefined) opened.push(entry);
        next.set(listener.id, entry);
      }
    } catch (error) {
      for (const entry of opened) closeAll(entry);
      throw error;
    }
    const used = new Set(next.values());
    this.#retired = [...this.#retired, ...this.#open.values()].filter((entry) => !used.has(entry));
    this.#open = next;
  }

  /** The same port with another kind of capture needs other socket options, while relays still use the old socket. */
  #checked(listener: ListenerPolicy): ListenerPolicy {
    const { ip, port } = listener.listen;
    const isHeld = [...this.#open.values()].some(({ key }) => key.startsWith(`${ip} ${port} `));
    if (isHeld)
      throw new FlowFailure('GATEWAY_CONFIG_INVALID', `the capture of ${ip}:${port} changes only on a restart`);
    return listener;
  }

  /** Closes the sockets of listeners that are no longer configured, once no relay uses them. */
  closeRetired(): void {
    for (const entry of this.#retired) closeAll(entry);
    this.#retired = [];
  }

  /** Descriptors for the relay of a slot, by listener id; undefined where the platform lets the relay listen itself. */
  of(slot: number): ReadonlyMap<string, number> {
    const descriptors = new Map<string, number>();
    for (const [id, entry] of this.#open) {
      const fd = entry.descriptors[slot];
      if (fd !== undefined) descriptors.set(id, fd);
    }
    return descriptors;
  }

  closeAll(): void {
    for (const entry of this.#open.values()) closeAll(entry);
    this.#open.clear();
    this.closeRetired();
  }
}

function keyOf(listener: ListenerPolicy, slots: number): string {
  const { ip, port } = listener.listen;
  return `${ip} ${port} ${isTransparent(listener)} ${slots}`;
}

function isTransparent(listener: ListenerPolicy): boolean {
  return listener.mode === 'transparent' && listener.capture === 'tproxy';
}

function openAll(listener: ListenerPolicy, slots: number): OpenListener {
  const options = { transparent: isTransparent(listener) };
  return { key: keyOf(listener, slots), descriptors: openListeningSockets(listener.listen, slots, options) };
}

function closeAll(entry: OpenListener): void {
  for (const fd of entry.descriptors) if (fd !== undefined) closeListeningSocket(fd);
}
