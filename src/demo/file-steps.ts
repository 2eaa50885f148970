import { createHash } from 'node:crypto';
import { upload } from './demo-clients.ts';
import { type DemoRecord, recordClasses } from './demo-records.ts';
import { recordOfBlocked, recordOfPassed, type Step, type StepOutcome, wordsOf } from './demo-step.ts';
import { describedFile, sampleFiles } from './sample-files.ts';

const rule = 'demo.files.private-key';
const orders = 'orders.csv.gz';
const backup = 'backup.txt';
const { [orders]: archive, [backup]: privateKey } = sampleFiles;

export const filePasses: Step = {
  id: 'file-inspected',
  title: 'Files: an upload by FTP under TLS is read, and passes',
  async play(scene): Promise<StepOutcome> {
    const { origins, gateway, ca } = scene;
    const met = await upload(gateway.files, ca, orders, archive);
    const { record, records, claims } = await recordOfPassed(scene, isUpload(orders));
    const stored = origins.files.files.get(orders)?.equals(archive) ?? false;
    const hash = createHash('sha256').update(archive).digest('hex');
    return {
      client: [`uploads ${orders}, TLS on both connections`, `gets ${wordsOf(met)}`],
      gateway: seen(record),
      origin: [stored ? `holds ${orders}, byte for byte` : `holds no ${orders}`],
      records,
      claims: [
        { says: 'the client is answered 226', holds: met.kind === 'answer' && met.answer.startsWith('226') },
        { says: 'the origin holds the file, byte for byte', holds: stored },
        { says: 'the data connection was under TLS', holds: record.unmapped?.gateway?.ftp?.is_protected === true },
        { says: 'the record has its true type', holds: record.file?.mime_type === 'application/gzip' },
        { says: 'the record has its SHA-256', holds: record.file?.hashes?.[0]?.value === hash },
        ...claims,
      ],
    };
  },
};

export const fileBlocked: Step = {
  id: 'file-blocked',
  title: 'Files: an upload that holds a private key is blocked',
  async play(scene): Promise<StepOutcome> {
    const { origins, gateway, ca } = scene;
    const before = origins.files.bytes();
    const met = await upload(gateway.files, ca, backup, privateKey);
    const { record, records, found, claims } = await recordOfBlocked(scene, rule, isUpload(backup));
    const stored = origins.files.files.has(backup);
    const bytes = origins.files.bytes() - before;
    const words = wordsOf(met);
    return {
      client: [`uploads ${backup}, TLS on both connections`, `gets ${words}`],
      gateway: [...seen(record), ...found],
      origin: [`${stored ? 'holds' : 'holds no'} ${backup}, got ${bytes} bytes of it`],
      records,
      claims: [
        {
          says: `the client is answered 550 with the rule ${rule}`,
          holds: met.kind === 'failed' && words.startsWith('550') && words.includes(rule),
        },
        { says: 'the origin holds no such file', holds: !stored },
        { says: 'no byte of it reaches the origin', holds: bytes === 0 },
        ...claims,
      ],
    };
  },
};

function isUpload(path: string): (record: DemoRecord) => boolean {
  return ({ class_uid, name }) => class_uid === recordClasses.file && name === path;
}

function seen({ command, name, file, unmapped }: DemoRecord): readonly string[] {
  const user = unmapped?.gateway?.ftp?.user ?? '';
  return [
    `reads ${command ?? 'nothing'} ${name ?? ''} by user ${user}`,
    ...(file ? [`file: ${describedFile(file)}`] : []),
  ];
}
