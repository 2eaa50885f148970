/** Digits of the shortest card, and so bytes of its shortest form. */
export const shortestCard = 13;

/**
 * Bytes before a run after which an idle scanner knows all that matters of them, wherever it began to read: two until it
 * is in step with percent escapes, and six of two logical bytes, which decide whether digits may begin a number.
 */
export const cardSyncBytes = 8;

/**
 * Index from which a card may begin, for a scanner that is between numbers. All of a card as it stands in a text are
 * digits and percent signs, and single bytes between them: a separator, or a letter that ends the escape of one. So a look
 * at every thirteenth byte meets each, and most looks at ordinary text end a run at once. Each byte is read three times at
 * most. Behind the index there may be fewer bytes than a card has: the next ones may complete it.
 */
export function nextCardRun(bytes: Uint8Array, from: number): number {
  const { length } = bytes;
  let start = from;
  for (let look = start + shortestCard - 1; look < length; look = start + shortestCard - 1) {
    start = runStart(bytes, start, look);
    if (start + shortestCard - 1 === look) return start;
  }
  return start;
}

/** Index from which a card may begin that stands at, or only behind, the look. */
function runStart(bytes: Uint8Array, from: number, look: number): number {
  let kind = kindOf[bytes[look] as number] as number;
  if (kind === foreign) return look + 1;
  let at = look;
  while (at > from) {
    const before = kindOf[bytes[at - 1] as number] as number;
    if ((before | kind) === joint || before === foreign) return at;
    kind = before;
    at--;
  }
  return at;
}

const foreign = 0;
/** May stand between two bytes that are none. */
const joint = 1;
const numeral = 2;

const kindOf = new Uint8Array(256);
for (const byte of Buffer.from('0123456789%')) kindOf[byte] = numeral;
for (const byte of Buffer.from(' -+DdBb')) kindOf[byte] = joint;
