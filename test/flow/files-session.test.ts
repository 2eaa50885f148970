import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { createSecureContext, TLSSocket } from 'node:tls';
import { beforeAll, describe, expect, it } from 'vitest';
import type { PolicyDocument } from '../../src/core/policy.ts';
import type { RuleCondition, RuleDocument } from '../../src/core/rule-document.ts';
import { parseRuleFile } from '../../src/rules/rule-file.ts';
import { startDataPlane } from '../support/data-plane.ts';
import { dataPort, openFtpSession, portOf, published } from '../support/ftp-session.ts';
import { Typist } from '../support/mail-origin.ts';
import { policyDocument } from '../support/policy.ts';
import { createTestAuthority, type TestAuthority } from '../support/test-authority.ts';

let authority: TestAuthority;
beforeAll(async () => {
  authority = await createTestAuthority();
});

const openSession = (
  answer: (line: string, socket: Socket) => string | undefined,
  changes: Partial<PolicyDocument> = {},
) => openFtpSession(authority, answer, changes);

function blockRule(when: RuleCondition, id = 'no-ledgers'): RuleDocument {
  return { id, title: id, rev: 1, severity: 'high', action: 'block', tags: [], when, source: 'test:1' };
}

describe('names of data connections', () => {
  it('of others in 227, and low ports, are refused, and the session goes on', async () => {
    const replies = ['227 Entering (192,0,2,1,100,1).', '227 Entering (127,0,0,1,0,22).', '229 Entering (|||25|)'];
    let next = 0;
    await using session = await openSession(() => replies[next++] ?? '227 Entering nothing');
    for (const _reply of replies) await session.asks('PASV', /^425 ORIGIN_FTP_BOUNCE /);
    session.typist.say('PASV\r\n');
    expect(await session.typist.hearsEnd()).toMatch(/^421 ORIGIN_FTP_MALFORMED /);
    await expect.poll(() => session.plane.flows[0]?.failure).toBe('ORIGIN_FTP_BOUNCE');
  });

  it('another address is ignored where policy says so', async () => {
    await using session = await openSession(() => '227 Entering (192,0,2,1,100,1).', {
      files: { ...policyDocument().files, passiveAddress: 'ignore' },
    });
    expect(await session.asks('PASV', /^227 /)).toContain('(127,0,0,1,');
  });

  it('of others in PORT and EPRT are refused, and never reach the origin', async () => {
    await using session = await openSession(() => '200 OK');
    const bounces = [
      'PORT 192,0,2,1,100,1',
      'PORT 127,0,0,1,0,25',
      'EPRT |1|192.0.2.1|9999|',
      'EPRT |2|2001:db8::1|9999|',
    ];
    for (const command of bounces) await session.asks(command, /^500 CLIENT_FTP_BOUNCE /);
    await session.asks('NOOP', /^200 /);
    expect(session.origin.heard).toEqual(['NOOP']);
  });

  it('a stranger who connects to the data port is cut, and the client still served', async () => {
    const data = await dataPort();
    await using session = await openSession((line) =>
      line === 'EPSV' ? `229 x (|||${data.port}|)` : line.startsWith('RETR') ? '150 here' : '200 OK',
    );
    const port = portOf(await session.asks('EPSV', /^229 /));
    const stranger = connect({ port, host: '127.0.0.1', localAddress: '127.0.0.2' });
    await once(stranger, 'error').catch(() => {});
    const own = connect(port, '127.0.0.1');
    await session.asks('RETR file', /^150 /);
    (await data.next).end('content');
    let got = '';
    own.on('data', (bytes: Buffer) => (got += bytes));
    await expect.poll(() => got).toBe('content');
    own.end();
    session.origin.sockets[0]?.write('226 done\r\n');
    await session.typist.hears(/^226 /);
    expect(session.plane.transfers[0]).toMatchObject({ outcome: { complete: true }, bytes: 7 });
    data.server.close();
  });
});

describe('what is refused', () => {
  it('a client that waits for the greeting of an origin that is not there is told why in one', async () => {
    await using plane = await startDataPlane({ listeners: [published('127.0.0.77', 21)] });
    const socket = connect(plane.port, '127.0.0.1').on('error', () => {});
    expect(await new Typist(socket).hearsEnd()).toMatch(/^421 ORIGIN_REFUSED /);
  });

  it('commands that would blind the gateway are answered in the place of the origin', async () => {
    await using session = await openSession(() => '200 OK');
    for (const [command, expected] of [
      ['CCC', /^533 /],
      ['MODE Z', /^504 /],
      ['STRU R', /^504 /],
      ['CPSV', /^502 /],
      ['SSCN ON', /^502 /],
      ['AUTH SSL', /^504 /],
      ['PROT S', /^536 /],
      ['RETR file', /^425 Use PASV/],
      ['CWD a\xff\xf4b', /^500 /],
    ] as const) {
      await session.asks(command, expected);
    }
    expect(session.origin.heard).toEqual([]);
  });

  it.each([
    ['GET / HTTP/1.1\r\n', 'CLIENT_FTP_CROSS_PROTOCOL'],
    ['NOOP\nDELE x\r\n', 'CLIENT_FTP_AMBIGUOUS'],
    ['AUTH TLS\r\nUSER evil\r\n', 'CLIENT_UPGRADE_INJECTION'],
    [`CWD ${'x'.repeat(9_000)}\r\n`, 'CLIENT_FTP_TOO_LARGE'],
  ])('%j ends the session', async (text, code) => {
    await using session = await openSession(() => '200 OK');
    session.typist.say(text);
    expect(await session.typist.hearsEnd()).toMatch(new RegExp(`^421 ${code} `));
    expect(session.origin.heard).toEqual([]);
    await expect.poll(() => session.plane.flows[0]?.failure).toBe(code);
  });

  it('a reply that nothing asked for ends the session', async () => {
    await using session = await openSession(() => '200 OK\r\n230 logged in');
    session.typist.say('NOOP\r\n');
    expect(await session.typist.hearsEnd()).toMatch(/^200 OK\r\n421 ORIGIN_FTP_UNSOLICITED /);
  });

  it('bytes behind the consent to AUTH end the session', async () => {
    await using session = await openSession(() => '234 go\r\n331 in');
    session.typist.say('AUTH TLS\r\n');
    expect(await session.typist.hearsEnd()).toMatch(/^421 ORIGIN_UPGRADE_INJECTION /);
  });

  it('plaintext, where policy demands TLS', async () => {
    await using session = await openSession(() => '200 OK', { files: { ...policyDocument().files, requireTls: true } });
    await session.asks('USER me', /^530 POLICY_TLS_REQUIRED /);
    await session.asks('NOOP', /^200 /);
    expect(session.origin.heard).toEqual(['NOOP']);
  });

  it('a session under TLS whose origin has the wrong certificate: 421 in plaintext, no leaf', async () => {
    const { cert, key } = await (await createTestAuthority()).issue({ names: ['localhost'] });
    await using session = await openSession((_line, socket) => {
      socket.write('234 go\r\n');
      socket.removeAllListeners('data');
      new TLSSocket(socket, { isServer: true, secureContext: createSecureContext({ cert, key }) }).on(
        'error',
        () => {},
      );
      return undefined;
    });
    session.typist.say('AUTH TLS\r\n');
    expect(await session.typist.hearsEnd()).toMatch(/^421 ORIGIN_CERT_/);
    expect(session.plane.leafsIssued()).toBe(0);
  });
});

describe('a transfer', () => {
  async function ready(verb: 'RETR' | 'STOR', changes: Partial<PolicyDocument> = {}) {
    const data = await dataPort();
    const session = await openSession(
      (line) =>
        line === 'EPSV'
          ? `229 x (|||${data.port}|)`
          : line.startsWith(verb)
            ? '150 here'
            : line === 'ABOR'
              ? '426 cut\r\n226 aborted'
              : '200 OK',
      changes,
    );
    const port = portOf(await session.asks('EPSV', /^229 /));
    const own = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    own.on('error', () => {});
    await session.asks(`${verb} dir/file.txt`, /^150 /);
    return { data, session, own, theirs: await data.next };
  }

  it('that the client resets is no upload: the origin is reset too, and 226 becomes 426', async () => {
    const { data, session, own, theirs } = await ready('STOR');
    const failed = once(theirs, 'error');
    own.write('half of it');
    own.write(', more');
    await new Promise((resolve) => setTimeout(resolve, 50));
    own.resetAndDestroy();
    await failed;
    session.origin.sockets[0]?.write('226 done\r\n');
    expect(await session.typist.hears(/\r\n/)).toMatch(/^426 CLIENT_FTP_TRUNCATED /);
    expect(session.plane.transfers[0]?.outcome).toMatchObject({ complete: false, failure: 'CLIENT_FTP_TRUNCATED' });
    data.server.close();
    await session[Symbol.asyncDispose]();
  });

  it.each(['block', 'reset'] as const)('that a rule stops (%s): the origin is reset in either case', async (action) => {
    const when = '{ field: ftp.body, contains: codeword }';
    const { rules } = parseRuleFile(`- { id: r, title: R, action: ${action}, when: ${when} }\n`, 'r.yaml');
    const { data, session, own, theirs } = await ready('STOR', { rules });
    const cut = once(theirs, 'error');
    const ended = new Promise((resolve) => own.once('close', resolve));
    let ownError: unknown;
    own.on('error', (error) => (ownError = error));
    // A client that goes on after the verdict, and reads its answer later.
    own.write('the codeword');
    await cut;
    own.end('and more '.repeat(10_000));
    session.origin.sockets[0]?.write('426 broken off\r\n');
    if (action === 'block') expect(await session.typist.hears(/\r\n/)).toBe('550 POLICY_RULE_BLOCK r\r\n');
    else await session.typist.hearsEnd();
    await ended;
    expect(ownError).toEqual(
      action === 'block' ? undefined : expect.objectContaining({ code: expect.stringMatching(/^ECONNRESET$|^EPIPE$/) }),
    );
    data.server.close();
    await session[Symbol.asyncDispose]();
  });

  it('that ABOR ends is never complete, though all bytes have come', async () => {
    const { data, session, own, theirs } = await ready('RETR');
    theirs.write('all');
    session.typist.say('\xff\xf4\xff\xf2ABOR\r\n');
    await session.typist.hears(/^426 cut\r\n226 aborted\r\n/);
    expect(session.origin.heard.at(-1)).toBe('ABOR');
    expect(session.plane.transfers[0]?.outcome).toMatchObject({ complete: false });
    own.destroy();
    data.server.close();
    await session[Symbol.asyncDispose]();
  });

  it('is recorded with hash and name; commands sent ahead wait for its end', async () => {
    const { data, session, own, theirs } = await ready('STOR');
    session.typist.say('NOOP\r\nNOOP\r\n');
    own.end('x'.repeat(100_000));
    let bytes = 0;
    theirs.on('data', (chunk: Buffer) => (bytes += chunk.length));
    await once(theirs, 'end');
    theirs.end();
    expect(bytes).toBe(100_000);
    expect(session.origin.heard).not.toContain('NOOP');
    session.origin.sockets[0]?.write('226 done\r\n');
    await session.typist.hears(/^226 done\r\n200 OK\r\n200 OK\r\n/);
    const sha256 = createHash('sha256').update('x'.repeat(100_000)).digest('hex');
    expect(session.plane.transfers[0]).toMatchObject({
      request: { command: 'STOR', path: 'dir/file.txt', direction: 'upload', mode: 'passive', isProtected: false },
      file: { name: 'file.txt', size: 100_000, sha256, isWhole: true },
      outcome: { complete: true, reply: { code: 226 } },
    });
    data.server.close();
    await session[Symbol.asyncDispose]();
  });

  const known = Buffer.alloc(300_000, 'a well-known file ');
  const byHash = (action: string) => {
    const sha256 = createHash('sha256').update(known).digest('hex');
    return parseRuleFile(
      `- { id: known, title: Known, action: ${action}, when: { field: ftp.file.sha256, equals: "${sha256}" } }\n`,
      'r.yaml',
    );
  };

  it('whose file a rule knows by its hash never arrives whole', async () => {
    const { data, session, own, theirs } = await ready('STOR', { rules: byHash('block').rules });
    let bytes = 0;
    theirs.on('data', (chunk: Buffer) => (bytes += chunk.length));
    const cut = once(theirs, 'error');
    own.end(known);
    await cut;
    expect(bytes).toBeLessThan(known.length);
    expect(await session.typist.hears(/\r\n/)).toBe('550 POLICY_RULE_BLOCK known\r\n');
    expect(session.plane.transfers[0]).toMatchObject({ verdict: 'block', outcome: { complete: false } });
    expect(session.plane.alarms.map(({ match }) => match.field)).toEqual(['ftp.file.sha256']);
    data.server.close();
    await session[Symbol.asyncDispose]();
  });

  it.each([
    ['is known by its hash raises an alarm', known, 1],
    ['differs from it by its last byte raises none', Buffer.concat([known.subarray(0, -1), Buffer.from('.')]), 0],
  ] as const)('whose file %s, and arrives', async (_what, content, alarms) => {
    const { data, session, own, theirs } = await ready('RETR', { rules: byHash('alarm').rules });
    let bytes = 0;
    own.on('data', (chunk: Buffer) => (bytes += chunk.length));
    theirs.end(content);
    await once(own, 'end');
    own.end();
    session.origin.sockets[0]?.write('226 done\r\n');
    await session.typist.hears(/^226 done/);
    expect(bytes).toBe(content.length);
    expect(session.plane.transfers[0]).toMatchObject({ verdict: 'allow', outcome: { complete: true } });
    expect(session.plane.alarms.map(({ match }) => match.field)).toEqual(Array(alarms).fill('ftp.file.sha256'));
    data.server.close();
    await session[Symbol.asyncDispose]();
  });
});

describe('commands that change files', () => {
  const rules = [
    blockRule({ field: 'ftp.path', suffix: '.ledger' }),
    blockRule({ field: 'ftp.body', contains: 'falcon-seven' }, 'codeword'),
  ];

  it('are judged by their path and recorded, without a transfer', async () => {
    await using session = await openSession((line) => (line.startsWith('RNFR') ? '350 go on' : '250 done'), { rules });
    await session.asks('DELE books/year.ledger', /^550 POLICY_RULE_BLOCK no-ledgers/);
    await session.asks('DELE books/old.txt', /^250 /);
    await session.asks('RNFR a.txt', /^350 /);
    await session.asks('RNTO b.ledger', /^550 /);
    await session.asks('MKD new', /^250 /);
    expect(session.origin.heard).toEqual(['DELE books/old.txt', 'RNFR a.txt', 'MKD new']);
    expect(
      session.plane.transfers.map(({ request, verdict, outcome }) => [request.command, verdict, outcome.complete]),
    ).toEqual([
      ['DELE', 'block', false],
      ['DELE', 'allow', true],
      ['RNFR', 'allow', true],
      ['RNTO', 'block', false],
      ['MKD', 'allow', true],
    ]);
    expect(session.plane.alarms.length).toBe(2);
  });

  it.each([
    ['deletes what the origin has of a blocked upload, before the client is answered', 'delete'],
    ['leaves what the origin has of a blocked upload', 'keep'],
  ] as const)('policy %s', async (_what, blockedUpload) => {
    const data = await dataPort();
    await using session = await openSession(
      (line) =>
        line === 'EPSV' ? `229 x (|||${data.port}|)` : line.startsWith('STOR') ? '150 here' : '250 it is gone',
      { rules, files: { ...policyDocument().files, blockedUpload } },
    );
    const own = connect(portOf(await session.asks('EPSV', /^229 /)), '127.0.0.1');
    own.on('error', () => {});
    await session.asks('STOR in/plan.txt', /^150 /);
    const theirs = await data.next;
    own.end('the codeword is falcon-seven');
    await new Promise((resolve) => theirs.once('close', resolve).resume());
    session.origin.sockets[0]?.write('426 cut\r\n');
    expect(await session.typist.hears(/\r\n/)).toBe('550 POLICY_RULE_BLOCK codeword\r\n');
    expect(session.origin.heard.includes('DELE in/plan.txt')).toBe(blockedUpload === 'delete');
    await session.asks('NOOP', /^250 /);
    data.server.close();
  });
});

describe('REIN without TLS', () => {
  it('passes, and nothing that was said before counts any more', async () => {
    const data = await dataPort();
    const answers: Readonly<Record<string, string>> = {
      USER: '331 go on',
      PASS: '230 in',
      REST: '350 then',
      EPSV: `229 x (|||${data.port}|)`,
      RETR: '150 here',
      REIN: '220 anew',
    };
    await using session = await openSession((line) => answers[line.slice(0, 4)] ?? '200 OK');
    const logIn = async (user: string) => {
      await session.asks(`USER ${user}`, /^331 /);
      await session.asks('PASS x', /^230 /);
    };
    await logIn('anna');
    await session.asks('DELE one', /^200 /);
    // An origin that consents to this without TLS breaks RFC 4217 section 9; it must not outlive REIN at any rate.
    await session.asks('PROT P', /^200 /);
    await session.asks('REST 7', /^350 /);
    await session.asks('EPSV', /^229 /);
    await session.asks('REIN', /^220 anew/);
    expect(session.origin.heard.at(-1)).toBe('REIN');
    await session.asks('RETR file', /^425 Use PASV/);
    await session.asks('DELE two', /^200 /);
    await logIn('bert');
    const own = connect(portOf(await session.asks('EPSV', /^229 /)), '127.0.0.1');
    own.on('error', () => {});
    await session.asks('RETR file', /^150 /);
    (await data.next).end('content');
    let got = '';
    own.on('data', (bytes: Buffer) => (got += bytes));
    await expect.poll(() => got).toBe('content');
    own.end();
    session.origin.sockets[0]?.write('226 done\r\n');
    await session.typist.hears(/^226 /);
    expect(session.plane.transfers.map(({ request: { command, user } }) => [command, user])).toEqual([
      ['DELE', 'anna'],
      ['DELE', ''],
      ['RETR', 'bert'],
    ]);
    expect(session.plane.transfers[2]).toMatchObject({
      request: { offset: 0, isProtected: false },
      outcome: { complete: true },
    });
    data.server.close();
  });
});
