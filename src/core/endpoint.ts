/** An address that can be connected to or was connected from. IPv6 without brackets, IPv4-mapped IPv6 as IPv4. */
export interface Address {
  readonly ip: string;
  readonly port: number;
}

/** Where the client meant to go. `host` is a canonical host name (lower-case A-label) or an IP address. */
export interface Destination {
  readonly host: string;
  readonly port: number;
  /** The address itself when capture gave one (transparent modes, IP literals); then no name is resolved. */
  readonly ip?: string;
}

export type CaptureMode = 'explicit' | 'transparent' | 'reverse';
/** How a client told the gateway where to go. */
export type CaptureVia = 'connect' | 'absolute-form' | 'socks5' | 'redirect' | 'tproxy' | 'reverse';
