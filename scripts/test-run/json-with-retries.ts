// Mocha's JSON report, in which a test that was repeated tells why it failed at first, whether it passed in the end
// or not: a repetition may fail of what the first try has left.
import Mocha from "mocha";

const { EVENT_TEST_FAIL, EVENT_TEST_PASS, EVENT_TEST_RETRY } = Mocha.Runner.constants;

class JsonWithRetries extends Mocha.reporters.JSON {
  constructor(runner: Mocha.Runner, options?: Mocha.MochaOptions) {
    super(runner, options);
    const firstErrors = new Map<string, Error>();
    runner.on(EVENT_TEST_RETRY, (test: Mocha.Test, error: Error) => {
      const title = test.fullTitle();
      if (!firstErrors.has(title)) firstErrors.set(title, error);
    });
    const tellFirst = (test: Mocha.Test): void => {
      const error = firstErrors.get(test.fullTitle());
      if (error !== undefined) test.err = error;
    };
    runner.on(EVENT_TEST_PASS, tellFirst);
    runner.on(EVENT_TEST_FAIL, tellFirst);
  }
}

// Mocha loads its reporters with require() and expects the class itself.
export { JsonWithRetries as "module.exports" };
