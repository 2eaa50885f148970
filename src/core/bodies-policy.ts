/** How bodies of HTTP messages are read. */
export interface BodiesPolicy {
  /** A body whose codings cannot be undone within the limits, where a rule would look at it. */
  readonly undecodable: 'allow' | 'block';
  /** One whose decoding costs too much: growth, time, memory. `allow`: as any other that cannot be undone. */
  readonly bombs: 'block' | 'allow';
  /** Bytes made of one body by undoing its codings, beyond which it counts as undecodable. */
  readonly decodeBytes: number;
  /** Whether uploads and downloads are told of in the record, with their true type and hash. */
  readonly files: 'record' | 'off';
}
