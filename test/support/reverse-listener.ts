/** A listener that publishes an origin of a test, both on the loopback. */
export function reverse(listen: number, origin: number): object {
  return {
    mode: 'reverse',
    listen: `127.0.0.1:${listen}`,
    origin: `127.0.0.1:${origin}`,
    originName: 'localhost',
  };
}
