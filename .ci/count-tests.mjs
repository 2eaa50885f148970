// Prints `PASSED FAILED` of a vitest JSON report. A file that failed without a failing test (it did not load) counts as one.
import { readFileSync } from 'node:fs';

try {
  const report = JSON.parse(readFileSync(process.argv[2], 'utf8'));
  const unloaded = report.testResults.filter(
    ({ status, assertionResults }) =>
      status === 'failed' && assertionResults.every((assertion) => assertion.status !== 'failed'),
  );
  console.log(report.numPassedTests, report.numFailedTests + unloaded.length);
} catch (error) {
  console.error(`no usable test report: ${error.message}`);
  console.log(0, 0);
}
