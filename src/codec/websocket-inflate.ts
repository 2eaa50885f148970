import { inflateRawSync } from 'node:zlib';
import { limits } from '../core/limits.ts';

/** What a message is inflated to, or why it is refused. */
export type Inflated =
  | { readonly kind: 'inflated'; readonly bytes: Buffer }
  | { readonly kind: 'too-large' }
  | { readonly kind: 'fault'; readonly detail: string };

/**
 * What the sender leaves out at the end of each message (RFC 7692 section 7.2.1), and behind it an empty final block. It
 * is reached only if the message ends between two blocks: otherwise a receiver would read the next message as the rest
 * of an open block, and so another text than was inspected.
 */
const tail = Buffer.from([0x00, 0x00, 0xff, 0xff, 0x01, 0x00, 0x00, 0xff, 0xff]);
/** Reach of a back reference: no window of DEFLATE is larger. */
const windowBytes = 32_768;
const nothing: Buffer = Buffer.alloc(0);

/**
 * Inflates the messages of one side, each as a whole. What a message may refer to of those before it is given to zlib as
 * its dictionary, since Node inflates synchronously only from begin to end; so the gateway reads with the same code as
 * most receivers do. Window bits need no attention: a smaller window of the sender is part of the largest.
 */
export class MessageInflater {
  readonly #keepsContext: boolean;
  #window: Buffer = nothing;

  constructor(keepsContext: boolean) {
    this.#keepsContext = keepsContext;
  }

  /** `bytes` is the compressed content of one message. */
  inflate(bytes: Buffer): Inflated {
    const compressed = Buffer.concat([bytes, tail]);
    const most = Math.min(
      limits.webSocketInflatedBytes,
      Math.max(limits.webSocketInflateFreeBytes, bytes.length * limits.webSocketInflateRatio),
    );
    try {
      const { buffer, engine } = inflateOnce(compressed, this.#window, most);
      // RFC 7692 section 7.2.3.4 allows a final block, whose effect on the window receivers do not agree on.
      if (engine.bytesWritten !== compressed.length) return { kind: 'fault', detail: 'a final block within a message' };
      if (this.#keepsContext) this.#remember(buffer);
      return { kind: 'inflated', bytes: buffer };
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? error.code : undefined;
      if (code === 'ERR_BUFFER_TOO_LARGE') return { kind: 'too-large' };
      return { kind: 'fault', detail: 'compressed data that cannot be inflated' };
    }
  }

  #remember(content: Buffer): void {
    if (content.length >= windowBytes) {
      this.#window = Buffer.from(content.subarray(content.length - windowBytes));
      return;
    }
    const kept = Math.min(this.#window.length, windowBytes - content.length);
    this.#window = Buffer.concat([this.#window.subarray(this.#window.length - kept), content]);
  }
}

interface InflatedWithEngine {
  readonly buffer: Buffer;
  readonly engine: { readonly bytesWritten: number };
}

function inflateOnce(compressed: Buffer, dictionary: Buffer, maxOutputLength: number): InflatedWithEngine {
  const options = { maxOutputLength, info: true };
  const result: unknown =
    dictionary.length === 0
      ? inflateRawSync(compressed, options)
      : inflateRawSync(compressed, { ...options, dictionary });
  return result as InflatedWithEngine;
}
