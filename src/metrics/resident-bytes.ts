/** Resident memory of this process; undefined while it is out of descriptors, since /proc cannot be read without one. */
export function residentBytes(): number | undefined {
  try {
    return process.memoryUsage.rss();
  } catch {
    return undefined;
  }
}
