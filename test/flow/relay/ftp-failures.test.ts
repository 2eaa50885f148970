import { describe, expect, it } from 'vitest';
import { type FailureCode, FlowFailure, failures } from '../../../src/core/failures.ts';
import { type FilesMoment, filesForms, filesReply } from '../../../src/core/files-failures.ts';
import type { FileTransfer } from '../../../src/core/transfer.ts';
import { allow, type Verdict } from '../../../src/core/verdict.ts';
import { answerFailure } from '../../../src/flow/answer-failure.ts';
import type { Flow } from '../../../src/flow/flow.ts';
import { createFtpRelay } from '../../../src/flow/relay/ftp.ts';
import type { DataChannel, DataPlan, FtpOptions } from '../../../src/flow/relay/ftp-options.ts';
import { plainFtpOptions } from './plain-ftp-options.ts';
import { RecordingWire } from './recording.ts';

/** A session whose data channels end as the test says; what real sockets make of them is shown elsewhere. */
function open(wishes: Partial<FtpOptions> = {}, end: Verdict = allow) {
  const wire = new RecordingWire();
  const plans: DataPlan[] = [];
  const transfer: FileTransfer = { begin: () => allow, content: () => allow, end: () => end, finish: () => {} };
  const channel: DataChannel = {
    mode: 'passive',
    address: { ip: '127.0.0.1', port: 40_000 },
    isOver: false,
    connect: () => {},
    begin: (plan) => plans.push(plan),
    hasMoved: () => false,
    abort: () => {},
  };
  const relay = createFtpRelay({
    wire,
    inspector: { transfer: () => transfer },
    channels: { passive: async () => channel, active: async () => channel },
    ...plainFtpOptions,
    refused: () => {},
    ...wishes,
  });
  const say = (line: string) => relay.receive('client', Buffer.from(`${line}\r\n`, 'latin1'));
  const answer = (line: string) => relay.receive('origin', Buffer.from(`${line}\r\n`, 'latin1'));
  return { wire, relay, plans, say, answer };
}
type Session = ReturnType<typeof open>;

async function asked(session: Session): Promise<void> {
  session.say('EPSV');
  session.answer('229 x (|||40000|)');
  await new Promise((resolve) => setImmediate(resolve));
}

/** A transfer whose data end with this failure, or on whose last byte this is the verdict; the origin holds it for whole. */
async function transferred(code: FailureCode, verdict?: Verdict): Promise<Session> {
  const session = open({}, verdict);
  await asked(session);
  session.say('STOR file');
  session.answer('150 go');
  const [plan] = session.plans;
  const judged = plan?.transfer.end();
  plan?.settled({ code: judged?.kind === 'allow' ? code : 'POLICY_RULE_BLOCK', detail: 'why' });
  session.answer('226 done');
  if (session.wire.to('origin').includes('ABOR')) {
    session.answer('225 nothing');
    session.answer('257 "/"');
  }
  return session;
}

async function port(code: FailureCode): Promise<Session> {
  const failing = async (): Promise<DataChannel> => {
    throw new FlowFailure(code, 'why');
  };
  const session = open(code === 'ORIGIN_FTP_BOUNCE' ? {} : { channels: { passive: failing, active: failing } });
  session.say('PASV');
  session.answer(code === 'ORIGIN_FTP_BOUNCE' ? '227 x (192,0,2,9,100,1)' : '227 x (198,51,100,1,100,1)');
  await new Promise((resolve) => setImmediate(resolve));
  return session;
}

const rule = { id: 'no-secrets', title: 'No secrets', rev: 1 };
const sessions: Readonly<Partial<Record<FailureCode, (session: Session) => void>>> = {
  CLIENT_FTP_AMBIGUOUS: ({ say }) => say('NO\0OP'),
  CLIENT_FTP_CROSS_PROTOCOL: ({ say }) => say('GET / HTTP/1.1'),
  CLIENT_FTP_TOO_LARGE: ({ say }) => say(`CWD ${'x'.repeat(9_000)}`),
  CLIENT_IDLE_TIMEOUT: ({ relay }) => relay.timedOut?.(),
  CLIENT_UPGRADE_INJECTION: ({ say }) => say('AUTH TLS\r\nNOOP'),
  GATEWAY_SHUTTING_DOWN: ({ relay }) => relay.drain?.(),
  ORIGIN_FTP_MALFORMED: ({ say, answer }) => {
    say('NOOP');
    answer('nonsense');
  },
  ORIGIN_FTP_UNSOLICITED: ({ answer }) => answer('200 OK'),
  ORIGIN_GONE: ({ say, relay }) => {
    say('NOOP');
    relay.end('origin', true);
  },
  ORIGIN_IDLE_TIMEOUT: ({ say, relay }) => {
    say('NOOP');
    relay.timedOut?.();
  },
};

function codesOf(form: FilesMoment): FailureCode[] {
  return (Object.keys(failures) as FailureCode[]).filter((code) => filesForms(code).includes(form));
}

function lastTold({ wire }: Session): string {
  return wire.to('client').split('\r\n').at(-2) ?? '';
}

/** What policy refuses as unread never gets this relay: test/flow/files-unread.test.ts. */
const inSession = codesOf('session').filter((code) => code !== 'POLICY_REFUSED');

describe('a failure of the catalogue is told in FTP as docs/failures.md says', () => {
  it('in the session, in a way that comes up', () => {
    expect(Object.keys(sessions).sort()).toEqual(inSession.sort());
  });

  it.each(inSession)('in the session: %s', (code) => {
    const session = open();
    sessions[code]?.(session);
    expect(lastTold(session)).toMatch(new RegExp(`^421 ${code} `));
    // What a gateway that goes down ends between commands has not failed.
    expect(session.wire.ending).toBe(code === 'GATEWAY_SHUTTING_DOWN' ? 'close' : `close ${code}`);
  });

  it.each(codesOf('auth'))('at AUTH TLS: %s', (code) => {
    const session = open();
    session.say('AUTH TLS');
    session.answer('234 go');
    session.wire.ending = undefined;
    session.relay.upgradeFailed?.(code, 'why');
    expect(lastTold(session)).toBe(`421 ${code} why`);
    expect(session.wire.ending).toBe(`close ${code}`);
  });

  it.each(codesOf('port'))('in place of a data port: %s', async (code) => {
    const session = await port(code);
    expect(lastTold(session)).toMatch(new RegExp(`^425 ${code} `));
    expect(session.wire.ending).toBeUndefined();
  });

  it.each(codesOf('transfer').filter((code) => code !== 'POLICY_TLS_REQUIRED'))('for a transfer: %s', async (code) => {
    const refused: Verdict =
      code === 'POLICY_RULE_BLOCK' ? { kind: 'block', rule } : { kind: 'refuse', code, detail: 'why' };
    const isVerdict = /^POLICY_(RULE|SCANNER|UNSCANNABLE)|^GATEWAY_SCANNER/.test(code);
    const session = await transferred(code, isVerdict ? refused : undefined);
    expect(lastTold(session)).toMatch(new RegExp(`^${filesReply('transfer', code)} ${code} `));
    expect(session.wire.ending).toBeUndefined();
    session.say('NOOP');
    expect(session.wire.to('origin').endsWith('NOOP\r\n')).toBe(true);
  });

  it.each([
    ['ABOR and PWD in turn', ['426 cut', '225 none', '257 "/"'], 0],
    ['PWD before ABOR', ['426 cut', '257 "/"', '225 none'], 0],
    ['one answer to both', ['226 aborted', '257 "/"'], 2_000],
  ] as const)('once, whatever the origin says to ABOR: %s', async (_what, answers, waitMs) => {
    const session = open({}, { kind: 'block', rule });
    await asked(session);
    session.say('STOR file');
    session.answer('150 go');
    const [plan] = session.plans;
    plan?.transfer.end();
    plan?.settled({ code: 'POLICY_RULE_BLOCK', detail: '' });
    session.say('NOOP');
    for (const line of answers) session.answer(line);
    if (waitMs > 0) {
      expect(session.wire.to('origin')).not.toContain('NOOP');
      for (const nowMs of [0, waitMs]) session.relay.tick?.(nowMs);
    }
    session.answer('200 OK');
    expect(session.wire.to('client').endsWith('550 POLICY_RULE_BLOCK no-secrets\r\n200 OK\r\n')).toBe(true);
    expect(session.wire.ending).toBeUndefined();
  });

  it.each([
    ['CLIENT_FTP_DATA_IDENTITY', 'CLIENT_FTP_DATA_IDENTITY'],
    [undefined, 'CLIENT_GONE'],
  ] as const)(
    'and in the record by the data (%s), though the client leaves before the origin answers',
    async (code, told) => {
      const failed: (FailureCode | undefined)[] = [];
      const transfer: FileTransfer = {
        begin: () => allow,
        content: () => allow,
        end: () => allow,
        finish: ({ failure }) => failed.push(failure),
      };
      const session = open({ inspector: { transfer: () => transfer } });
      await asked(session);
      session.say('RETR file');
      session.answer('150 go');
      session.plans[0]?.settled({ code, detail: 'why' });
      session.relay.cut('CLIENT_GONE', '');
      expect(failed).toEqual([told]);
    },
  );

  it('and the session ends where the origin never answers ABOR', async () => {
    const session = open({}, { kind: 'block', rule });
    await asked(session);
    session.say('STOR file');
    session.answer('150 go');
    session.plans[0]?.transfer.end();
    session.plans[0]?.settled({ code: 'POLICY_RULE_BLOCK', detail: '' });
    for (const nowMs of [0, 5_000, 11_000]) session.relay.tick?.(nowMs);
    expect(session.wire.to('client')).toMatch(/150 go\r\n550 POLICY_RULE_BLOCK no-secrets\r\n421 ORIGIN_IDLE_TIMEOUT /);
    expect(session.wire.ending).toBe('close ORIGIN_IDLE_TIMEOUT');
  });

  it('at a command: CLIENT_FTP_BOUNCE and POLICY_TLS_REQUIRED', () => {
    const session = open({ requireTls: true });
    session.say('RETR a');
    expect(lastTold(session)).toMatch(/^530 POLICY_TLS_REQUIRED /);
    const secure = open({ requireTls: true, isSecure: true });
    secure.say('PORT 192,0,2,9,100,1');
    expect(lastTold(secure)).toMatch(/^500 CLIENT_FTP_BOUNCE /);
    expect(codesOf('command').sort()).toEqual(['CLIENT_FTP_BOUNCE', 'POLICY_TLS_REQUIRED']);
  });

  it.each(codesOf('greeting'))('as greeting: %s', async (code) => {
    let told = '';
    const client = { destroyed: false, writable: true, write: (text: string) => (told += text) };
    const facts = { destination: { host: 'ftp.test', port: 21 } };
    const flow = { answerLayer: 'greeting', client, facts, listener: { mode: 'explicit' } };
    await answerFailure(flow as unknown as Flow, new FlowFailure(code, 'why'));
    expect(told).toBe(`421 ${code} why\r\n`);
  });
});
