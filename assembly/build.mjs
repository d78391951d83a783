// Compiles the engine, to a module and to the text of it that travels in bundles. Texts in its sources become bytes: AssemblyScript itself keeps two for each character.
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

/** Letters that stand for bytes: those of ASCII that a literal need not escape, then others. */
const LETTERS = String.fromCharCode(
  ...Array.from({ length: 95 }, (_, at) => 32 + at).filter((code) => code !== 34 && code !== 92),
  ...Array.from({ length: 163 }, (_, at) => 161 + at),
);

/**
 * A module as text: its bytes from the most to the least frequent, a letter each, then the place of each byte among
 * those as a letter. Most letters are so of ASCII, each byte is one of them, and compressed it is a fifth smaller
 * than base64, which has no letter for a byte.
 */
function textOf(bytes) {
  const counts = new Uint32Array(256);
  for (const byte of bytes) counts[byte]++;
  const order = [...counts.keys()].sort((one, other) => counts[other] - counts[one]);
  const places = new Uint8Array(256);
  for (const [place, byte] of order.entries()) places[byte] = place;
  const head = order.map((byte) => LETTERS[byte]);
  return `${head.join("")}${Array.from(bytes, (byte) => LETTERS[places[byte]]).join("")}`;
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
writeFileSync(
  "build/engine-text.js",
  `export default ${JSON.stringify(textOf(readFileSync("build/engine.wasm")))};\n`,
);
