import { describe, expect, test } from 'vitest';
import { parseRuleFile } from '../../src/rules/rule-file.ts';

describe('a rule file', () => {
  test('becomes rule documents, with what may be left out filled in', () => {
    const { rules, problems } = parseRuleFile(
      `# comment
- id: a.b-c_1
  title: A rule
  action: block
  when: { field: http.method, equals: PUT }

- id: second
  title: Another
  rev: 4
  severity: critical
  action: alarm
  tags: [dlp, pci]
  when:
    all:
      - { field: http.host, hosts: ["*.example.com", example.com] }
      - any:
          - { field: http.request.body, regex: "a\\\\d", near: [abc], nocase: true }
          - not: { field: http.response.status, equals: [200, 204] }
`,
      'rules/x.yaml',
    );
    expect(problems).toEqual([]);
    expect(rules).toEqual([
      {
        id: 'a.b-c_1',
        title: 'A rule',
        rev: 1,
        severity: 'medium',
        action: 'block',
        tags: [],
        when: { field: 'http.method', equals: ['PUT'] },
        source: 'rules/x.yaml:2',
      },
      {
        id: 'second',
        title: 'Another',
        rev: 4,
        severity: 'critical',
        action: 'alarm',
        tags: ['dlp', 'pci'],
        when: {
          all: [
            { field: 'http.host', hosts: ['*.example.com', 'example.com'] },
            {
              any: [
                { field: 'http.request.body', regex: 'a\\d', near: ['abc'], nocase: true },
                { not: { field: 'http.response.status', equals: [200, 204] } },
              ],
            },
          ],
        },
        source: 'rules/x.yaml:7',
      },
    ]);
  });

  test.each(['', '# nothing\n', '[]', '---\n'])('may be empty: %j', (text) => {
    expect(parseRuleFile(text, 'x')).toEqual({ rules: [], problems: [] });
  });

  test('keeps the right rules of a file with wrong ones', () => {
    const { rules, problems } = parseRuleFile(
      `- { id: a, title: t, action: alarm, when: { field: http.method, equals: x } }
- { id: b, title: t, action: alert, when: { field: http.method, equals: x } }
- { id: c, title: t, action: alarm, when: { field: http.method, equals: x } }
`,
      'x',
    );
    expect(rules.map(({ id }) => id)).toEqual(['a', 'c']);
    expect(problems).toEqual([
      { line: 2, message: 'action: one of allow, alarm, block, reset, redact, setHeader, removeHeader' },
    ]);
  });
});

describe('what is wrong is told with its line', () => {
  test.each([
    ['id: r', 3, 'title is missing'],
    ['title: t', 3, 'id is missing'],
    ['id: r r\n  title: t', 3, 'id: letters'],
    ['id: 17\n  title: t', 3, 'id: a text is needed'],
    ['id: r\n  title: t\n  severity: urgent', 5, 'severity: one of info, low, medium, high, critical'],
    ['id: r\n  title: t\n  rev: 1.5', 5, 'rev: a whole number'],
    ['id: r\n  title: t\n  tags: { a: b }', 5, 'tags: a text is needed'],
    ['id: r\n  title: t\n  colour: red', 5, 'unknown key "colour" in a rule'],
    ['id: r\n  title: t\n  source: here', 5, 'unknown key "source" in a rule'],
    ['id: r\n  id: r\n  title: t', 4, 'this key stands here twice'],
  ])('%j', (rule, line, message) => {
    const { problems } = parseRuleFile(
      `# one\n# two\n- ${rule}\n  action: alarm\n  when: { field: http.method, equals: x }\n`,
      'x',
    );
    expect(problems[0]).toEqual({ line, message: expect.stringContaining(message) });
  });

  test.each([
    ['{ field: http.metod, equals: x }', 'unknown field "http.metod"; did you mean "http.method"?'],
    ['{ field: something.else, equals: x }', 'unknown field "something.else"; known are http.request.line'],
    ['{ field: "http.request.header.a b", equals: x }', 'unknown field'],
    ['{ field: toString, equals: x }', 'unknown field'],
    ['{ equals: x }', 'field is missing'],
    ['{ field: http.method }', 'an operator is needed'],
    ['{ field: http.method, equals: x, prefix: y }', 'one operator is needed, not equals and prefix'],
    ['{ field: http.method, like: x }', 'unknown key "like" in a test'],
    ['{ field: http.method, equals: [] }', 'equals: the list is empty'],
    ['{ field: http.method, equals: }', 'equals: a text or a number'],
    ['{ field: http.method, equals: { a: b } }', 'equals: a text or a number'],
    ['{ field: http.method, contains: 3 }', 'contains: a text is needed'],
    ['{ field: http.method, contains: "" }', 'contains: a text is needed'],
    ['{ field: http.method, hosts: [a.example] }', 'hosts cannot be asked of http.method'],
    ['{ field: http.host, hosts: ["a b"] }', 'not a host pattern: a b'],
    ['{ field: http.host, hosts: [*.a.example] }', 'must be quoted'],
    ['{ field: client.ip, cidr: [10.0.0.0/33] }', 'not a block of addresses: 10.0.0.0/33'],
    ['{ field: http.method, cidr: [10.0.0.0/8] }', 'cidr cannot be asked'],
    ['{ field: http.response.status, contains: "2" }', 'contains cannot be asked'],
    ['{ field: http.response.status, greaterThan: "200" }', 'greaterThan: a number'],
    ['{ field: http.response.status, lessThan: -1 }', 'lessThan: a number'],
    ['{ field: http.response.status, equals: 4xx }', 'equals: "4xx" is no number'],
    ['{ field: client.ip, equals: 10.0.0.0/8 }', 'equals: "10.0.0.0/8" is no address; cidr takes blocks of them'],
    ['{ field: origin.ip, equals: "2001:DB8::1" }', 'equals: write "2001:DB8::1" as "2001:db8::1"'],
    ['{ field: http.method, exists: "yes" }', 'exists: true or false'],
    ['{ field: http.request.body, equals: x }', 'equals cannot be asked of http.request.body'],
    ['{ field: http.request.body, contains: ab }', '"ab" is shorter than 3 bytes'],
    ['{ field: http.request.body, contains: [abc, de] }', '"de" is shorter than 3 bytes'],
    [`{ field: http.request.body, contains: ${'x'.repeat(257)} }`, 'longer than 256 bytes'],
    ['{ field: http.request.body, regex: "a+" }', 'regex on a body needs near'],
    ['{ field: http.request.body, regex: "a+", near: [ab] }', '"ab" is shorter than 3 bytes'],
    ['{ field: http.request.body, regex: "(a", near: [abc] }', 'regex: a "(" has no ")"'],
    ['{ field: http.path, regex: "(a)\\\\1" }', 'back-references cannot be run in linear time'],
    ['{ field: http.path, regex: "a*" }', 'matches the empty text'],
    ['{ field: http.path, regex: "a", near: [abc] }', 'near goes with regex on a body'],
    ['{ field: http.request.body, contains: abc, near: [abc] }', 'near goes with regex on a body'],
    ['{ field: http.request.body, detector: iban }', 'detector: one of card_number, private_key, cloud_credential'],
    ['{ field: http.request.body, detector: card_number, count: 0 }', 'count: a whole number'],
    ['{ field: http.request.body, detector: card_number, count: 1001 }', 'count: at most 1000'],
    ['{ field: http.request.body, contains: [abc, def], count: 3 }', 'count: more than there are literals'],
    ['{ field: http.method, equals: x, count: 2 }', 'count goes with contains, regex, detector'],
    ['{ field: http.request.body, detector: card_number, nocase: true }', 'nocase goes with'],
    ['{ field: http.method, equals: x, nocase: 1 }', 'nocase: true or false'],
    ['{ field: http.request.body, startsWithHex: 4d5 }', 'not bytes in hex: 4d5'],
    [`{ field: http.request.body, startsWithHex: ${'4d'.repeat(65)} }`, 'at most 64 bytes'],
    ['{ field: http.request.body, prefix: "" }', 'prefix: a text'],
    ['{ field: http.method, startsWithHex: "4d" }', 'startsWithHex cannot be asked'],
    ['{ all: [] }', 'all: a list of conditions'],
    ['{ any: { field: http.method, equals: x } }', 'any: a list of conditions'],
    ['{ not: [{ field: http.method, equals: x }] }', 'a test is a mapping'],
    ['{ all: [{ field: http.method, equals: x }], any: [] }', 'unknown key "any" in a condition with "all"'],
    ['{ all: [text] }', 'a test is a mapping'],
    ['text', 'a test is a mapping'],
    [`${'{ not: '.repeat(18)}{ field: http.method, equals: x }${' }'.repeat(18)}`, 'nested deeper than 16'],
  ])('%s', (when, message) => {
    const { rules, problems } = parseRuleFile(`\n- { id: r, title: t, action: alarm,\n    when: ${when} }\n`, 'x');
    expect(rules).toEqual([]);
    expect(problems[0]).toEqual({ line: 3, message: expect.stringContaining(message) });
  });

  test('a rule without a condition', () => {
    const { problems } = parseRuleFile('- { id: r, title: t, action: alarm }', 'x');
    expect(problems).toEqual([{ line: 1, message: 'when is missing: the condition under which the rule is true' }]);
  });

  test('an id that stands twice, at the second', () => {
    const rule = '- { id: r, title: t, action: alarm, when: { field: http.method, equals: x } }\n';
    const { rules, problems } = parseRuleFile(rule + rule, 'x.yaml');
    expect(rules).toHaveLength(1);
    expect(problems).toEqual([{ line: 2, message: 'rule r stands already at x.yaml:1' }]);
  });

  test.each([
    ['rules: []', 1, 'is a list of rules'],
    ['text', 1, 'is a list of rules'],
    ['- text', 1, 'a rule is a mapping'],
    ['-', 1, 'a rule is a mapping'],
    ['- a: "x', 1, 'Missing closing'],
    ['- a: x\n\t- b', 2, 'tab'],
    ['- &a { id: r }\n- *a', 1, 'title is missing'],
  ])('%j is no rule file', (text, line, message) => {
    const { rules, problems } = parseRuleFile(text, 'x');
    expect(rules).toEqual([]);
    expect(problems[0]).toEqual({ line, message: expect.stringContaining(message) });
  });

  test('aliases are not followed, so that a small file stays small', () => {
    const bomb = [
      '- &a [x, x, x, x, x, x, x, x, x]',
      ...'bcdefghij'.split('').map((name, index) => {
        const last = String.fromCharCode(97 + index);
        return `- &${name} [${Array(9).fill(`*${last}`).join(', ')}]`;
      }),
    ].join('\n');
    expect(parseRuleFile(bomb, 'x').problems).toHaveLength(10);
  });

  test('a text that exhausts the parser is a problem, no crash', () => {
    const { rules, problems } = parseRuleFile('['.repeat(200_000), 'x');
    expect(rules).toEqual([]);
    expect(problems.length).toBeGreaterThan(0);
  });
});
