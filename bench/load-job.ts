/** What the load generator does in one measurement. */
export interface LoadJob {
  readonly workload: Workload;
  /** Where it connects: the proxy. */
  readonly ip: string;
  readonly port: number;
  /** `host:port` to ask for with CONNECT first; undefined where the proxy knows its origin. */
  readonly tunnelTo: string | undefined;
  /** Name of the origin: SNI, and what the certificate must cover. */
  readonly host: string;
  /** Value of the Host header. */
  readonly authority: string;
  /** PEM file of the CA that must have signed the certificate that the proxy shows. */
  readonly caFile: string;
  readonly path: string;
  readonly bodyBytes: number;
  readonly connections: number;
  readonly warmUpMs: number;
  readonly measureMs: number;
}

export type Workload = 'keep-alive' | 'new-session' | 'large-body' | 'h2-streams' | 'html' | 'html-gzip';

/** TLS as seen on both legs, e.g. `TLSv1.3 TLS_AES_256_GCM_SHA384`. */
export interface SeenTls {
  readonly client: string;
  readonly origin: string;
}

/** What the load generator reports: the start of the measurement, and its end. */
export type LoadReport =
  | { readonly kind: 'measuring' }
  | {
      readonly kind: 'measured';
      readonly operations: number;
      readonly elapsedMs: number;
      readonly tls: SeenTls;
      /** Operations of a new client session for which the proxy used an origin connection again. */
      readonly sharedOrigin: number;
      readonly errors: readonly string[];
    }
  | { readonly kind: 'failed'; readonly reason: string };
