// Ends the test command with one plain line; with CI=true a skipped test is a failure.
import type { Reporter, TestModule } from "vitest/node";

export default class SummaryReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly unknown[]): void {
    const count = { passed: 0, failed: 0, skipped: 0, pending: 0 };
    for (const module of modules) {
      for (const test of module.children.allTests()) count[test.result().state]++;
      // A file that could not even be loaded has no tests to fail.
      if (module.errors().length > 0) count.failed++;
    }
    count.failed += unhandled.length + count.pending;
    const skipped = count.skipped > 0 ? `, ${count.skipped} skipped` : "";
    const forbidden = process.env.CI === "true" && count.skipped > 0;
    if (forbidden || modules.length === 0) process.exitCode = 1;
    // After the last line of every other reporter, whose output may still wait in the stream.
    process.once("exit", () => {
      if (forbidden) console.log("With CI=true no test may be skipped.");
      console.log(`${count.passed} passed, ${count.failed} failed${skipped}`);
    });
  }
}
