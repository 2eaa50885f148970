/**
 * Lengths in bits of the codes of RFC 7541 appendix B for the bytes 0 to 255 and EOS, written as letters: `a` is 5. The
 * code is canonical, so the lengths are all of it.
 */
const lengths =
  'isxxxxxxxtzxxzxxxxxxxxzxxxxxxxxxbffhibdgffdgdbbbaaabbbbbbbcdkbhfibccccccccccccccccccccccdcdioijbkabababbbaccbbbabcbaa' +
  'bccccckgjixprpprrrsrssssststtrstssssqrsrsstrqprrssqsrrtqrssqqrqsrssprrrsrrsvvporsruvvvwwvtuoqvwwvwtqqvvxwwwptpqrqqsr' +
  'ruuttvsvwvvwwwwwxwwwwwvz';

const eos = 256;
const emits = 1 << 20;
const fails = 1 << 21;

/**
 * The code as a machine that reads four bits at a time: per state and four bits the next state, and in bits 8 to 15 the
 * byte that was completed. States are the inner nodes of the code's tree; the shortest code has five bits, so that four
 * complete one byte at most.
 */
const { steps, acceptable } = buildMachine();

/** Bytes that came out last; grows to the longest string that was decoded, which the limit of a header block bounds. */
let scratch = Buffer.allocUnsafe(4_096);

/** Decodes a string; undefined when it holds EOS or its padding is not the begin of EOS, shorter than a byte (RFC 7541 section 5.2). */
export function decodeHuffman(bytes: Buffer, from: number, to: number): string | undefined {
  const most = Math.ceil(((to - from) * 8) / 5);
  if (most > scratch.length) scratch = Buffer.allocUnsafe(most);
  const decoded = scratch;
  let length = 0;
  let state = 0;
  for (let at = from; at < to; at++) {
    const byte = bytes[at] as number;
    let step = steps[(state << 4) | (byte >> 4)] as number;
    if ((step & fails) !== 0) return undefined;
    if ((step & emits) !== 0) decoded[length++] = (step >> 8) & 0xff;
    step = steps[((step & 0xff) << 4) | (byte & 0x0f)] as number;
    if ((step & fails) !== 0) return undefined;
    if ((step & emits) !== 0) decoded[length++] = (step >> 8) & 0xff;
    state = step & 0xff;
  }
  return acceptable[state] === 1 ? decoded.toString('latin1', 0, length) : undefined;
}

interface Machine {
  readonly steps: Int32Array;
  /** Whether a string may end in a state: after at most seven ones. */
  readonly acceptable: Uint8Array;
}

function buildMachine(): Machine {
  const children = buildTree();
  const steps = new Int32Array(children.length * 16);
  for (let state = 0; state < children.length; state++) {
    for (let bits = 0; bits < 16; bits++) steps[(state << 4) | bits] = stepOf(children, state, bits);
  }
  const acceptable = new Uint8Array(children.length);
  let node = 0;
  for (let ones = 0; ones < 8; ones++) {
    acceptable[node] = 1;
    node = children[node]?.[1] ?? 0;
  }
  return { steps, acceptable };
}

/** Inner nodes with their two children: another inner node, or `-1 - symbol`. */
function buildTree(): (readonly [number, number])[] {
  const nodes: [number, number][] = [[0, 0]];
  const symbols = Array.from({ length: eos + 1 }, (_, symbol) => symbol);
  const bitsOf = (symbol: number): number => lengths.charCodeAt(symbol) - 0x61 + 5;
  symbols.sort((a, b) => bitsOf(a) - bitsOf(b) || a - b);
  let code = 0;
  let bits = bitsOf(symbols[0] ?? 0);
  for (const symbol of symbols) {
    code *= 2 ** (bitsOf(symbol) - bits);
    bits = bitsOf(symbol);
    insert(nodes, code, bits, symbol);
    code += 1;
  }
  return nodes;
}

function insert(nodes: [number, number][], code: number, bits: number, symbol: number): void {
  let node = 0;
  for (let bit = bits - 1; bit > 0; bit--) {
    const branch = (code >> bit) & 1;
    const pair = nodes[node] ?? [0, 0];
    if (pair[branch] === 0) {
      pair[branch] = nodes.length;
      nodes.push([0, 0]);
    }
    node = pair[branch] ?? 0;
  }
  const last = nodes[node];
  if (last !== undefined) last[code & 1] = -1 - symbol;
}

function stepOf(children: readonly (readonly [number, number])[], state: number, bits: number): number {
  let node = state;
  let completed = 0;
  for (let bit = 3; bit >= 0; bit--) {
    const child = children[node]?.[(bits >> bit) & 1] ?? 0;
    if (child >= 0) node = child;
    else if (child === -1 - eos) return fails;
    else {
      completed = emits | ((-1 - child) << 8);
      node = 0;
    }
  }
  return completed | node;
}
