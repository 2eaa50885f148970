import type { Child } from './child.ts';
import type { Site } from './site.ts';

/** A proxy that the benchmark can run. */
export interface System {
  /** Name for `--only`. */
  readonly name: string;
  /** How it stands in the table. */
  readonly title: string;
  /** Its code is compiled while it runs, so that it must have served thousands of operations before it is measured. */
  readonly compilesAsItRuns?: true;
  /** Version to print, or undefined when it is not installed here. */
  version(): string | undefined;
  /** Starts it in a folder of its own. */
  start(site: Site, folder: string): Promise<Running>;
}

export interface Running {
  readonly child: Child;
  readonly port: number;
  /** Where it speaks HTTP/2 on both legs; undefined where it does not. */
  readonly http2Port?: number;
  /** `connect`: an explicit proxy, asked by CONNECT. `direct`: it knows its origin. */
  readonly mode: 'connect' | 'direct';
  /** CA that signs the certificates that it shows. */
  readonly caFile: string;
}
