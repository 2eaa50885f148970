import type { FtpOptions } from '../../../src/flow/relay/ftp-options.ts';

/** What a relay of files is told of a session in the clear, by the defaults of policy. */
export const plainFtpOptions = {
  clientIp: '192.0.2.1',
  originIp: '198.51.100.1',
  canUpgrade: true,
  isSecure: false,
  requireTls: false,
  clearData: 'allow',
  authSsl: 'refuse',
  clearCommandChannel: 'refuse',
  blockedUpload: 'keep',
  passiveAddress: 'refuse',
} as const satisfies Partial<FtpOptions>;
