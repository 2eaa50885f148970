/** A value that JSON can hold; a member that is undefined is left out. */
export type JsonValue = string | number | boolean | readonly JsonValue[] | JsonObject;
export interface JsonObject {
  readonly [name: string]: JsonValue | undefined;
}

/** The members of an object as JSON without its braces, to be put between others. Empty when there are none. */
export function members(object: JsonObject): string {
  return JSON.stringify(object).slice(1, -1);
}
