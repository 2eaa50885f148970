/** Bounds of looking into archives; part of `limits`. */
export const archiveLimits = {
  /** Members of one file that are told of, archives within it and all. */
  archiveMembers: 1_000,
  /** Name of a member; file systems take 255 a part and 4 096 in all. */
  archiveNameBytes: 4_096,
  /** Names that heads in front of one member of a tar archive give it. */
  archiveNamesOfMember: 8,
  /** Archives within each other: a tar.gz in a zip are three. */
  archiveDepth: 4,
  /** Times its size that a file may grow when archives are looked into, from so many bytes on, and at most: a log reaches 30. */
  archiveRatio: 100,
  archiveRatioFromBytes: 1_048_576,
  archiveMadeBytes: 268_435_456,
  /** Time that looking into a file may take at once, and what each MiB of it adds to what is left. */
  archiveBurstMs: 250,
  archiveMsPerMebibyte: 50,
  /** Inflaters of archives at once, per relay: about 40 KB each. */
  archiveInflaters: 1_000,
  /** Members of a file in its record; the rest is counted. */
  recordMembers: 32,
} as const;
