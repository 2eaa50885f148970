/** The result of parsing one scalar of the file. `message` says what is wrong and never repeats a secret. */
export type Parsed<T> =
  | { readonly kind: 'value'; readonly value: T }
  | { readonly kind: 'wrong'; readonly message: string };

/** How one kind of scalar is written. */
export interface Format<T> {
  /** Ends the sentence "must be ...". */
  readonly expected: string;
  /** Holds for every text that `parse` accepts; editors check no more than this. */
  readonly pattern: string;
  /** True where a message may not repeat the text. */
  readonly secret?: boolean;
  parse(text: string): Parsed<T>;
}

/** A parsed value. */
export function value<T>(parsed: T): Parsed<T> {
  return { kind: 'value', value: parsed };
}

/** Why a text is no such value. */
export function wrong(message: string): Parsed<never> {
  return { kind: 'wrong', message };
}
