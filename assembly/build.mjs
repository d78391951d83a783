// Compiles the engine. Texts in its sources become bytes: AssemblyScript itself keeps two for each character.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import asc from "assemblyscript/asc";

process.chdir(join(import.meta.dirname, ".."));
const TEXT = /\bascii\(`([^`]*)`\)/g;

/** `ascii(`…`)` as the address of its bytes, a zero behind them. */
function withBytes(source) {
  return source.replace(TEXT, (_call, text) => {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: what is no ASCII has no single byte.
    if (/[^\u0000-\u007f]/.test(text)) throw new Error(`This is no ASCII: ${text}`);
    return `memory.data<u8>([${[...Buffer.from(`${text}\0`)].join(",")}])`;
  });
}

function readSource(name, base) {
  try {
    const text = readFileSync(join(base, name), "utf8");
    return name.endsWith(".ts") ? withBytes(text) : text;
  } catch (error) {
    if (error.code === "ENOENT") return null;
    throw error;
  }
}

const { error } = await asc.main(
  ["--target", "release"],
  {
    stdout: process.stdout,
    stderr: process.stderr,
    readFile: readSource,
    writeFile(name, contents, base) {
      const path = join(base, name);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, contents);
    },
    listFiles: () => [],
  },
);
if (error) {
  console.error(String(error));
  process.exit(1);
}
