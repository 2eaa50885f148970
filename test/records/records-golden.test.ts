import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type {
  FlowFacts,
  HttpTransactionFacts,
  MailFacts,
  MessageGroupFacts,
  TransferFacts,
} from '../../src/core/record.ts';
import { alarmRecordLine } from '../../src/records/alarm-record.ts';
import { crashRecordLine } from '../../src/records/crash-record.ts';
import { flowRecordLine } from '../../src/records/flow-record.ts';
import { httpRecordLine } from '../../src/records/http-record.ts';
import { lossRecordLine } from '../../src/records/loss-record.ts';
import { mailRecordLine } from '../../src/records/mail-record.ts';
import { messageRecordLine } from '../../src/records/message-record.ts';
import { transferRecordLine } from '../../src/records/transfer-record.ts';
import { ocsfProblems } from '../support/ocsf.ts';
import {
  alarmFacts,
  flowFacts,
  requestHead,
  responseHead,
  startMs,
  transactionFacts,
  writer,
} from '../support/record-facts.ts';

const stamp = { sequence: 7, loggedMs: startMs + 60 };
const alarmUid = '01KF0FVWH2ALARM00000000001';
const rule = { id: 'dlp-card-number', title: 'Payment card number in a request', rev: 3 };
const http = (transaction: Partial<HttpTransactionFacts>, flow: Partial<FlowFacts> = {}): string =>
  httpRecordLine(writer, flowFacts(flow), transactionFacts(transaction), stamp);
const outcome = transactionFacts().outcome;
const bare: Partial<FlowFacts> = {
  origin: undefined,
  originLocal: undefined,
  clientTls: undefined,
  originTls: undefined,
  decrypted: false,
  bytesFromClient: 0,
  bytesFromOrigin: 0,
  transactions: 0,
};

const messages: MessageGroupFacts = {
  groupId: '01KF0FVWH3MSGS000000000001',
  txId: '01KF0FVWH1TX00000000000001',
  startMs: startMs + 40,
  endMs: startMs + 52,
  request: requestHead({ target: '/chat?room=7' }),
  messages: [
    {
      timeMs: startMs + 41,
      from: 'client',
      type: 'text',
      isCompressed: true,
      isComplete: true,
      bytes: 47,
      excerpt: Buffer.from('{"op":"login","password":"hunter2","room":"7"}'),
    },
    {
      timeMs: startMs + 52,
      from: 'origin',
      type: 'binary',
      isCompressed: false,
      isComplete: false,
      bytes: 2_048,
      excerpt: Buffer.from([0x00, 0x01, 0x02, 0xff]),
    },
  ],
  counts: { client: { messages: 40, bytes: 1_900, control: 1 }, origin: { messages: 1, bytes: 2_048, control: 2 } },
  verdict: 'block',
  rule,
  ruleIds: ['dlp-card-number'],
  matches: 1,
  alarms: 1,
  failure: 'POLICY_RULE_BLOCK',
  detail: 'rule dlp-card-number',
};

const mail: MailFacts = {
  txId: '01KF0FVWH4MAIL000000000001',
  startMs: startMs + 60,
  endMs: startMs + 95,
  envelope: {
    protocol: 'smtp',
    helo: 'desk-7.office.example',
    authMechanism: 'SCRAM-SHA-256',
    authIdentity: 'anna',
    from: 'anna@office.example',
    to: ['bob@partner.example', '"odd one"@partner'],
    accepted: 2,
    refused: 1,
    removedOffers: ['XCLIENT', 'AUTH SCRAM-SHA-256-PLUS'],
  },
  headers: [
    ['From', 'Anna <anna@office.example>'],
    ['To', 'bob@partner.example'],
    ['Cc', 'carol@office.example'],
    ['Subject', '=?utf-8?Q?R=C3=A9sum=C3=A9?='],
    ['Message-ID', '<17@office.example>'],
    ['Authorization', 'Basic c2VjcmV0'],
  ],
  subject: 'R\xc3\xa9sum\xc3\xa9',
  parts: 2,
  files: [
    {
      name: 'report.pdf',
      type: 'application/vnd.microsoft.portable-executable',
      declared: 'application/pdf',
      size: 73_802,
      sha256: '0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0',
      isWhole: true,
    },
  ],
  scans: [],
  changes: [],
  notInspected: ['multipart without its end'],
  outcome: { complete: true, failure: 'POLICY_RULE_BLOCK', detail: 'mail-exe', reply: undefined, bytes: 101_340 },
  verdict: 'block',
  rule: { id: 'mail-exe', title: 'Program by mail', rev: 1 },
  ruleIds: ['mail-exe'],
  matches: 1,
  alarms: 1,
};
const mailFlow = flowFacts({ protocol: 'smtp', destination: { host: 'mx.partner.example', port: 587 } });

const transfer: TransferFacts = {
  txId: '01KF0FVWH5FTP0000000000001',
  startMs: startMs + 60,
  endMs: startMs + 95,
  request: {
    command: 'STOR',
    path: 'in/report.pdf',
    direction: 'upload',
    user: 'anna',
    offset: 512,
    isProtected: true,
    isCleared: false,
    mode: 'passive',
  },
  bytes: 73_802,
  file: {
    name: 'report.pdf',
    type: 'application/pdf',
    declared: undefined,
    size: 73_802,
    sha256: '0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0',
    isWhole: true,
  },
  outcome: {
    complete: false,
    failure: 'POLICY_RULE_BLOCK',
    detail: 'ftp-pdf',
    reply: { code: 426, text: 'Failure reading network stream.' },
  },
  verdict: 'block',
  rule: { id: 'ftp-pdf', title: 'Document by FTP', rev: 1 },
  ruleIds: ['ftp-pdf'],
  matches: 1,
  alarms: 1,
};

const lines: Readonly<Record<string, string>> = {
  'mail-blocked': mailRecordLine(writer, mailFlow, mail, stamp),
  'mail-sent': mailRecordLine(
    writer,
    mailFlow,
    {
      ...mail,
      outcome: { ...mail.outcome, failure: undefined, detail: '', reply: { code: 250, text: '2.0.0 queued as 4' } },
      verdict: 'allow',
      rule: undefined,
      ruleIds: [],
      matches: 0,
      alarms: 0,
      notInspected: [],
    },
    stamp,
  ),
  'ftp-blocked': transferRecordLine(
    writer,
    flowFacts({ protocol: 'ftp', destination: { host: 'files.partner.example', port: 21 } }),
    transfer,
    stamp,
  ),
  'websocket-messages': messageRecordLine(writer, flowFacts(), messages, stamp),
  'http-get': http({}),
  'http-trailers-other-host': http({
    request: requestHead({ host: 'img.shop.example' }),
    requestTrailers: [['X-Checksum', '9f2c']],
    responseTrailers: [
      ['Server-Timing', 'db;dur=12'],
      ['Set-Cookie', 'session=4f2d9c1b7a; Path=/'],
    ],
    interims: [
      { status: 103, headers: [['Link', '</style.css>; rel=preload']], isCut: false },
      { status: 102, headers: [], isCut: true },
    ],
  }),
  'http-blocked-post': http({
    request: requestHead({
      method: 'POST',
      target: '/checkout?token=s3cr3t-value',
      headers: [
        ['Host', 'shop.example'],
        ['Content-Type', 'application/x-www-form-urlencoded'],
        ['Authorization', 'Bearer eyJhbGciOiJIUzI1NiJ9.payload.sig'],
      ],
      framing: { kind: 'length', bytes: 57 },
    }),
    response: undefined,
    requestExcerpt: Buffer.from('card=4111111111111111&password=hunter2&note=two+items'),
    responseExcerpt: undefined,
    outcome: { ...outcome, complete: false, failure: 'POLICY_RULE_BLOCK', requestBodyBytes: 53, responseWireBytes: 0 },
    verdict: 'block',
    rule,
    matches: 1,
  }),
  'http-alarmed-binary-coded': http({
    response: responseHead({
      headers: [
        ['Content-Type', 'application/octet-stream'],
        ['Content-Encoding', 'gzip'],
        ['Set-Cookie', 'sid=31d4d96e407aad42; Path=/; HttpOnly'],
      ],
    }),
    request: requestHead({ method: 'PROPFIND', host: 'under_score.example' }),
    requestExcerpt: Buffer.from([0x4d, 0x5a, 0x90, 0x00, 0x03, 0x00, 0x00, 0x00]),
    responseExcerpt: Buffer.from([0x1f, 0x8b, 0x08, 0x00]),
    outcome: { ...outcome, requestBodyBytes: 8 },
    notInspected: ['response content-encoding gzip'],
    rule,
    ruleIds: ['dlp-card-number', 'exe-download'],
    matches: 2,
    alarms: 2,
    upgradedTo: 'websocket',
  }),
  'http-plaintext-proxy': http(
    { request: requestHead({ target: 'http://user:pa55@plain.example:8000/a%20b?x=1', host: 'plain.example' }) },
    {
      via: 'absolute-form',
      destination: { host: 'plain.example', port: 8000 },
      clientTls: undefined,
      originTls: undefined,
      fingerprints: undefined,
      serverName: undefined,
      decrypted: false,
      asset: undefined,
    },
  ),
  'flow-closed': flowRecordLine(writer, flowFacts(), startMs + 90, stamp),
  'flow-certificate-failed': flowRecordLine(
    writer,
    flowFacts({
      decrypted: false,
      clientTls: undefined,
      failure: 'ORIGIN_CERT_EXPIRED',
      failureDetail: 'expired 2026-01-02',
      transactions: 0,
    }),
    startMs + 40,
    stamp,
  ),
  'flow-bypassed-transparent-v6': flowRecordLine(
    writer,
    flowFacts({
      ...bare,
      capture: 'transparent',
      via: 'tproxy',
      listenerId: 'transparent:[::]:8443',
      client: { ip: '2001:db8::23', port: 40_000 },
      gateway: { ip: '2001:db8::1', port: 443 },
      destination: { host: '2001:db8:1::80', port: 443, ip: '2001:db8:1::80' },
      origin: { ip: '2001:db8:1::80', port: 443 },
      originLocal: { ip: '2001:db8::23', port: 40_000 },
      decision: { kind: 'bypass', reason: 'bypass: privacy' },
      protocol: 'tls',
      bytesFromClient: 2_310,
      bytesFromOrigin: 90_144,
    }),
    startMs + 4_000,
    stamp,
  ),
  'flow-refused': flowRecordLine(
    writer,
    flowFacts({
      ...bare,
      fingerprints: undefined,
      serverName: undefined,
      protocol: undefined,
      destination: { host: '127.0.0.1', port: 8080, ip: '127.0.0.1' },
      decision: { kind: 'refuse', reason: 'the gateway itself' },
      failure: 'POLICY_LOOP',
    }),
    startMs + 1,
    stamp,
  ),
  'alarm-blocked': alarmRecordLine(writer, flowFacts({ alarms: 1 }), alarmFacts(), alarmUid, stamp),
  'relay-crashed': crashRecordLine(
    writer,
    'traffic',
    { reason: 'SIGKILL', logSource: 'gw-1/relay-0/01KF0FVWH0START00000000001', openFlows: 12 },
    '01KF0FVWH3CRASH00000000001',
    stamp,
  ),
  'records-lost': lossRecordLine(
    writer,
    'traffic',
    { lines: 12, sinceMs: startMs, reason: 'ENOSPC: no space left on device, write' },
    '01KF0FVWH3LOSS000000000001',
    stamp,
  ),
};

describe('fixed facts', () => {
  test.each(Object.entries(lines))('%s gives exactly the golden line', (name, line) => {
    const golden = new URL(`../golden/records/${name}.json`, import.meta.url);
    if (process.env.UPDATE_GOLDEN === '1') writeFileSync(golden, `${line}\n`);
    expect(`${line}\n`).toBe(readFileSync(golden, 'utf8'));
  });

  test.each(Object.entries(lines))('%s is valid in OCSF', (_, line) => {
    expect(line).not.toContain('\n');
    expect(ocsfProblems(JSON.parse(line))).toEqual([]);
  });

  test.each(Object.entries(lines))('%s shows nothing that must be masked', (_, line) => {
    for (const secret of ['s3cr3t', 'eyJ', 'hunter2', '4111111111111111', '31d4d96e', '4f2d9c1b7a', 'pa55']) {
      expect(line).not.toContain(secret);
    }
  });
});

describe('the check against the schema', () => {
  const record = JSON.parse(lines['http-get'] ?? '') as Record<string, unknown>;
  const metadata = record.metadata as Record<string, unknown>;
  const mailRecord = JSON.parse(lines['mail-sent'] ?? '') as object;

  test.each([
    ['an unknown attribute', { ...record, colour: 'red' }, 'colour is not in the schema'],
    ['a missing one', { ...record, severity_id: undefined }, 'severity_id is missing'],
    ['a wrong type', { ...record, time: 'now' }, 'time is no timestamp_t: "now"'],
    ['a value outside the enum', { ...record, action_id: 42 }, 'action_id is none of its values: 42'],
    ['a wrong type_uid', { ...record, type_uid: 400_201 }, 'type_uid is not 400203'],
    ['an object without what it needs', { ...record, tls: {} }, 'tls.version is missing'],
    [
      'none of two',
      { ...record, http_request: undefined, http_response: undefined },
      ' has none of http_request, http_response',
    ],
    ['a list where there is none', { ...record, status_detail: ['x'] }, 'status_detail is no string_t: ["x"]'],
    ['a deprecated attribute', { ...record, http_status: 200 }, 'http_status is deprecated'],
    [
      'an identifier for other without words',
      { ...record, status_id: 99 },
      'status_id is 99 (other), and status is missing',
    ],
    ['a mail from and to nobody', { ...mailRecord, email: { size: 3 } }, 'email. has none of from, to'],
    [
      'a profile that the extract lacks',
      { ...record, metadata: { ...metadata, profiles: ['cloud'] } },
      'profile cloud is not in this part of the schema',
    ],
    [
      'an attribute of a profile that is not named',
      { ...record, metadata: { ...metadata, profiles: ['security_control'] } },
      'proxy_tls is not in the schema',
    ],
    [
      'a profile that the class lacks',
      {
        ...(JSON.parse(lines['alarm-blocked'] ?? '') as object),
        metadata: { ...metadata, profiles: ['network_proxy'] },
      },
      'detection_finding has no profile network_proxy',
    ],
  ])('finds %s', (_, broken, problem) => {
    expect(ocsfProblems(broken)).toContain(problem);
  });
});
