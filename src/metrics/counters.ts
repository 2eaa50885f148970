/** Counters of one process. Relays report increments to control, which adds them up and exposes them. */
const counts = new Map<string, number>();

/** Series beyond this are not created: labels come from closed sets, so reaching it is a fault, not traffic. */
const maximumSeries = 4_096;

/** Adds to a counter. `series` is its full name with labels, as exposed. */
export function count(series: string, by = 1): void {
  const present = counts.get(series);
  if (present === undefined && counts.size >= maximumSeries) return;
  counts.set(series, (present ?? 0) + by);
}

/** Returns the increments since the last call and starts anew. */
export function takeIncrements(): Record<string, number> {
  const increments = Object.fromEntries(counts);
  counts.clear();
  return increments;
}
