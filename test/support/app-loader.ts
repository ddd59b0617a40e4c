// Loaded before the command line (node --import): where that reads its pipelines and tables, it finds those of the test
// app that MILLRACE_TEST_APP names. Everything else is the product as it is, in child processes too.
import { registerHooks } from "node:module";
import { pathToFileURL } from "node:url";

const app = process.env["MILLRACE_TEST_APP"] ?? "";
const replaced = /\/src\/(pipelines|tables)\/index\.ts$/;

registerHooks({
  resolve(specifier, context, next) {
    const found = next(specifier, context);
    return app !== "" && replaced.test(found.url)
      ? { ...found, url: pathToFileURL(app).href }
      : found;
  },
});
