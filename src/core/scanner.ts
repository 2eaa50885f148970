/** A content scanner that bodies are shown to (ICAP). */
export interface ScannerPolicy {
  readonly id: string;
  readonly service: ScannerService;
  readonly mode: 'request' | 'response' | 'both';
  /** What becomes of a message that it does not judge. */
  readonly onFailure: 'allow' | 'block';
  readonly timeoutMs: number;
  /** Longest body that it is shown. */
  readonly maximumBytes: number;
  /** Where neither is given it applies to all flows; else to what either names. */
  readonly hosts: readonly string[];
  readonly assets: readonly string[];
  /** Hosts that it does not apply to. */
  readonly except: readonly string[];
}
export interface ScannerService {
  readonly host: string;
  readonly port: number;
  /** As it is named in requests. */
  readonly url: string;
  /** Host and port as they stand in the URL. */
  readonly authority: string;
}
