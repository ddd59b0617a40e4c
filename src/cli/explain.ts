// `millrace explain CODE`: what an error means and what to do. The same text as docs/errors.md.
import { MillraceError } from "../engine/core/errors.ts";
import { entryOf, isErrorCode } from "../engine/core/error-table.ts";
import { exitCodes, paragraph, type Register } from "./io.ts";

export const explain: Register = (program, run) => {
  program
    .command("explain")
    .argument("<code>", "an error code, such as MILL_TOPIC_MISSING")
    .option("--json", "print one JSON object")
    .description("say what an error code means and what to do")
    .action((code: string, options: { json?: boolean }) =>
      run((io) => {
        const name = code.toUpperCase();
        if (!isErrorCode(name)) throw new MillraceError("MILL_NOT_FOUND", `no error code ${name}`);
        const { message, meaning, action, disposition } = entryOf(name);
        const text = `${name}: ${message}\n\n${meaning}\n\nWhat to do: ${action}`;
        paragraph(
          io.out,
          options.json
            ? JSON.stringify({ code: name, message, meaning, action, disposition })
            : text,
        );
        return Promise.resolve(exitCodes.ok);
      }),
    );
};
