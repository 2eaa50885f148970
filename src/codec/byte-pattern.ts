/** Leading bytes to compare with: each byte under its mask must be equal. */
export interface BytePattern {
  readonly masks: Buffer;
  readonly values: Buffer;
}

/** Compiles hexadecimal digits in which `.` stands for any digit. */
export function bytePattern(hex: string): BytePattern {
  return {
    masks: Buffer.from(hex.replaceAll(/[^.]/g, 'f').replaceAll('.', '0'), 'hex'),
    values: Buffer.from(hex.replaceAll('.', '0'), 'hex'),
  };
}

/** Compares as far as there are bytes: `maybe` when all of them fit but some are missing. */
export function matchPattern({ masks, values }: BytePattern, bytes: Buffer): 'yes' | 'maybe' | 'no' {
  const length = Math.min(values.length, bytes.length);
  for (let index = 0; index < length; index++) {
    if (((bytes[index] ?? 0) & (masks[index] ?? 0)) !== values[index]) return 'no';
  }
  return length === values.length ? 'yes' : 'maybe';
}
