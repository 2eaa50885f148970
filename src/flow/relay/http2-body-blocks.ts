import { commonFrameBytes } from '../../codec/http2-frames.ts';
import type { Shortage } from './held-budget.ts';
import type { HeldMemory } from './held-memory.ts';

/** What one block costs beside its bytes. */
const blockBytes = 256;

interface Block {
  readonly bytes: Buffer;
  readonly memoryBytes: number;
  /** Where what was put in ends. */
  to: number;
}

/**
 * Bytes of a body that wait, copied out of receive buffers, of which a few bytes would hold on to all the rest. Small pieces
 * share blocks, so that a body of single bytes takes no more memory than another.
 */
export class BodyBlocks {
  readonly #memory: HeldMemory;
  readonly #blocks: Block[] = [];
  /** What was taken out of the first block. */
  #from = 0;
  #length = 0;
  /** Bytes that were put in, ever: blocks grow with the body. */
  #total = 0;
  /** Why there was no room last. */
  shortage: Shortage = 'full';

  constructor(memory: HeldMemory) {
    this.#memory = memory;
  }

  get length(): number {
    return this.#length;
  }

  /** Copies bytes in, and returns them where they lie now; undefined when there is no room. */
  push(bytes: Buffer): Buffer | undefined {
    const last = this.#blocks.at(-1);
    const fits = last !== undefined && last.bytes.length - last.to >= bytes.length;
    const block = fits ? last : this.#add(Math.max(bytes.length, Math.min(commonFrameBytes, this.#total)));
    if (block === undefined) return undefined;
    const from = block.to;
    block.bytes.set(bytes, from);
    block.to += bytes.length;
    this.#total += bytes.length;
    this.#length += bytes.length;
    return block.bytes.subarray(from, block.to);
  }

  /** Puts bytes in as they lie, e.g. because they may still change there. False when there is no room. */
  adopt(bytes: Buffer): boolean {
    // They hold on to all that was received with them.
    const memoryBytes = bytes.buffer.byteLength + blockBytes;
    if (!this.#takes(memoryBytes)) return false;
    this.#blocks.push({ bytes, memoryBytes, to: bytes.length });
    this.#total += bytes.length;
    this.#length += bytes.length;
    return true;
  }

  /** Takes bytes out at the front: so many at most, as lie in one block. */
  shift(most: number): Buffer {
    const [first] = this.#blocks;
    if (first === undefined) return nothing;
    const from = this.#from;
    const to = Math.min(first.to, from + most);
    this.#from = to;
    this.#length -= to - from;
    if (to === first.to) {
      this.#blocks.shift();
      this.#memory.give(first.memoryBytes);
      this.#from = 0;
    }
    return first.bytes.subarray(from, to);
  }

  clear(): void {
    for (const { memoryBytes } of this.#blocks) this.#memory.give(memoryBytes);
    this.#blocks.length = 0;
    this.#from = 0;
    this.#length = 0;
  }

  #takes(bytes: number): boolean {
    const shortage = this.#memory.take(bytes);
    if (shortage !== undefined) this.shortage = shortage;
    return shortage === undefined;
  }

  #add(bytes: number): Block | undefined {
    const memoryBytes = bytes + blockBytes;
    if (!this.#takes(memoryBytes)) return undefined;
    const block: Block = { bytes: Buffer.allocUnsafeSlow(bytes), memoryBytes, to: 0 };
    this.#blocks.push(block);
    return block;
  }
}

const nothing: Buffer = Buffer.alloc(0);
