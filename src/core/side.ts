/** A leg of a flow: the connection on the client's or on the origin's side. */
export type Side = 'client' | 'origin';

/** The other leg. */
export function otherSide(side: Side): Side {
  return side === 'client' ? 'origin' : 'client';
}
