/** A line of either log. */
export type Line = Readonly<Record<string, unknown>>;

/** Whether a line is of an HTTP transaction. */
export const isTransaction = (line: Line): boolean => line.class_uid === 4002;
/** Whether a line is of the end of a flow. */
export const isFlow = (line: Line): boolean => line.class_uid === 4001 && line.activity_id !== 6;
/** Whether a line is of WebSocket messages. */
export const isMessages = (line: Line): boolean => line.type_uid === 400106;
/** A line as text, for searches. */
export const textOf = (line: Line): string => JSON.stringify(line);

/** The label of a line, alone or with whatever else wrongly stands beside it. */
export function labelOf(line: Line | undefined): string {
  return (member(line, 'metadata', 'labels') as readonly string[] | undefined)?.join(' + ') ?? 'none';
}

/** The flow that a line belongs to. */
export function flowOf(line: Line | undefined): string {
  return String(member(line, 'metadata', 'correlation_uid'));
}

/** What the gateway says of its own: a member of `unmapped.gateway`. */
export function gatewayField(line: Line | undefined, name: string): unknown {
  return member(line, 'unmapped', 'gateway', name);
}

/** The failure code of a line. */
export function failureOf(line: Line | undefined): unknown {
  return gatewayField(line, 'failure');
}

/** The value at a path of names; undefined where it leads nowhere. */
export function member(line: Line | undefined, ...path: readonly string[]): unknown {
  let value: unknown = line;
  for (const name of path) value = (value as Line | undefined)?.[name];
  return value;
}
