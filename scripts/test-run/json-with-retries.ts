// Mocha's JSON report, in which a test that passed only when repeated also tells why it failed at first.
import Mocha from "mocha";

const { EVENT_TEST_PASS, EVENT_TEST_RETRY } = Mocha.Runner.constants;

class JsonWithRetries extends Mocha.reporters.JSON {
  constructor(runner: Mocha.Runner, options?: Mocha.MochaOptions) {
    super(runner, options);
    const errors = new Map<string, Error>();
    runner.on(EVENT_TEST_RETRY, (test: Mocha.Test, error: Error) => {
      errors.set(test.fullTitle(), error);
    });
    runner.on(EVENT_TEST_PASS, (test: Mocha.Test) => {
      const error = errors.get(test.fullTitle());
      if (error !== undefined) test.err = error;
    });
  }
}

// Mocha loads its reporters with require() and expects the class itself.
export { JsonWithRetries as "module.exports" };
