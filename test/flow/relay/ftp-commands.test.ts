import { describe, expect, it } from 'vitest';
import { decideOnFtpCommand, type FtpContext } from '../../../src/flow/relay/ftp-commands.ts';
import { FtpSession } from '../../../src/flow/relay/ftp-session.ts';

const context: FtpContext = {
  isSecure: false,
  canUpgrade: true,
  isProtected: false,
  requireTls: false,
  clearData: 'allow',
  authSsl: 'refuse',
  clearCommandChannel: 'refuse',
  isCleared: false,
  needsProtection: false,
  clientIp: '192.0.2.1',
};
const decide = (line: string, changes: Partial<FtpContext> = {}) =>
  decideOnFtpCommand(Buffer.from(`${line}\r\n`, 'latin1'), { ...context, ...changes });

describe('commands of FTP', () => {
  it('AUTH SSL passes by policy alone', () => {
    expect(decide('AUTH SSL')).toEqual({ kind: 'answer', text: '504 The gateway does not pass this parameter on' });
    expect(decide('AUTH SSL', { authSsl: 'allow' })).toMatchObject({ kind: 'auth' });
    expect(decide('AUTH TLS-P', { authSsl: 'allow' })).toMatchObject({ kind: 'answer' });
  });

  it('behind AUTH SSL nobody knows whether data are protected, until PROT says so', () => {
    const session = new FtpSession(false);
    const command = { verb: 'AUTH', argument: 'ssl', line: Buffer.alloc(0) };
    session.answered('auth', command, 234);
    session.secured();
    expect(session.needsProtection).toBe(true);
    expect(decide('RETR file', { isSecure: true, needsProtection: true })).toEqual({
      kind: 'answer',
      text: '503 Use PROT first',
    });
    session.answered('private', { ...command, verb: 'PROT', argument: 'P' }, 200);
    expect([session.needsProtection, session.isProtected]).toEqual([false, true]);
  });

  it('behind AUTH TLS they are not', () => {
    const session = new FtpSession(false);
    session.answered('auth', { verb: 'AUTH', argument: 'TLS', line: Buffer.alloc(0) }, 234);
    session.secured();
    expect([session.needsProtection, session.isProtected]).toEqual([false, false]);
  });

  it('PROT C is a matter of policy, for sessions under TLS alone', () => {
    const refuse = { clearData: 'refuse', isSecure: true } as const;
    expect(decide('PROT C', { isSecure: true })).toMatchObject({ kind: 'pass', expected: 'clear' });
    expect(decide('PROT C', refuse)).toMatchObject({ text: '534 POLICY_TLS_REQUIRED PROT C' });
    expect(decide('RETR a', refuse)).toMatchObject({ text: '522 POLICY_TLS_REQUIRED Use PROT P first' });
    expect(decide('RETR a', { ...refuse, isProtected: true })).toMatchObject({ kind: 'transfer' });
    expect(decide('RETR a', { ...refuse, isSecure: false })).toMatchObject({ kind: 'transfer' });
  });

  it.each(['DELE a', 'MKD a', 'RMD a', 'RNFR a', 'RNTO a', 'SITE CHMOD 600 a', 'XMKD a', 'XRMD a'])(
    '%s is judged as a change of files',
    (line) => expect(decide(line)).toMatchObject({ kind: 'pass', expected: 'act' }),
  );

  it.each([
    'MLST a',
    'OPTS UTF8 ON',
    'REST 10',
    'SIZE a',
    'MDTM a',
    'HOST ftp.test',
    'LANG en',
    'PBSZ 0',
    'STAT',
    'ABOR',
  ])('%s passes', (line) => expect(decide(line)).toMatchObject({ kind: 'pass', expected: 'other' }));
});
