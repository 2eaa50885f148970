import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileRules } from '../../src/rules/compile.ts';
import { Expression } from '../../src/rules/expression/expression.ts';
import { ExpressionError } from '../../src/rules/expression/syntax.ts';
import { parseRuleFile } from '../../src/rules/rule-file.ts';
import { mutated } from '../support/mutated.ts';

const file = `
- id: a.b
  title: Something
  rev: 2
  severity: high
  action: block
  tags: [x]
  when:
    all:
      - { field: http.request.body, contains: [customer_id, "Kundennummer"], nocase: true, count: 2 }
      - { field: http.path, regex: "^/a{2,5}(b|c)*[^d-f]$" }
      - not: { field: http.host, hosts: [a.example, "*.b.example"] }
- { id: c, title: t, action: alarm, when: { field: http.response.status, equals: 500 } }
- { id: d, title: t, action: alarm, when: { field: http.request.body, detector: card_number } }
`;

describe('a rule file near to a right one', () => {
  it('is read, or refused with the line of each problem, and what was read compiles', () => {
    fc.assert(
      fc.property(mutated(file), (bytes) => {
        const { rules, problems } = parseRuleFile(bytes.toString('utf8'), 'rules.yaml');
        for (const problem of problems) expect(problem.line).toBeGreaterThan(0);
        compileRules(rules);
      }),
      { numRuns: 300 },
    );
  });
});

describe('an expression near to a right one', () => {
  const seeds = mutated(
    '^/a{2,5}(b|c)*[^d-f]$',
    '(?:\\d{4}[- ]?){3}\\d{4}',
    '(a+)+$',
    '[\\x00-\\x1f\\]]',
    '\\bfoo\\B.',
  );
  it('compiles or is refused with what is wrong with it, whatever its repeats', () => {
    fc.assert(
      fc.property(seeds, fc.boolean(), (bytes, nocase) => {
        try {
          new Expression(bytes.toString('latin1'), nocase);
        } catch (error) {
          expect(error).toBeInstanceOf(ExpressionError);
        }
      }),
      { numRuns: 2_000 },
    );
  });
});
