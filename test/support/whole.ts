// Some tests on servers have a short form in `npm test`, and more of the same in test/long: this says which one is meant.

/** Set by the files of test/long. */
export const isWhole: boolean = process.env["MILLRACE_TEST_WHOLE"] === "1";
