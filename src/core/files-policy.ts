/** FTP sessions inside intercepted flows. */
export interface FilesPolicy {
  /** Data connections of clients resume the TLS session of their control connection, or are refused. */
  readonly requireResumption: boolean;
  /** Files pass over TLS only: control and data connections. */
  readonly requireTls: boolean;
  /** Transfers in clear where the control connection is under TLS (PROT C). */
  readonly clearData: 'allow' | 'refuse';
  /** A server that names another address than its own for data connections. */
  readonly passiveAddress: 'refuse' | 'ignore';
  readonly authSsl: 'refuse' | 'allow';
  /** Control connections that go on in plaintext behind CCC. */
  readonly clearCommandChannel: 'refuse' | 'allow';
  /** Sessions whose data connections cannot be led through the gateway. */
  readonly unread: 'allow' | 'refuse';
  /** What the origin has of an upload that a rule blocks. */
  readonly blockedUpload: 'keep' | 'delete';
}
