// Objects as YAML that MLflow's Python reads back as they were: its reader speaks YAML 1.1. And back.
import { Document, parse, type ScalarTag, visit } from "yaml";

/** Its reader takes a number for a float only with a point, and an exponent only with a sign. */
function formatFloat(value: number): string {
  const [mantissa = "", exponent] = String(value).split("e");
  const withPoint = mantissa.includes(".") ? mantissa : `${mantissa}.0`;
  if (exponent === undefined) return withPoint;
  return `${withPoint}e${/^[+-]/.test(exponent) ? "" : "+"}${exponent}`;
}

const FLOAT: ScalarTag = {
  tag: "tag:yaml.org,2002:float",
  default: true,
  identify: (value) =>
    typeof value === "number" && (/[.e]/.test(String(value)) || Object.is(value, -0)),
  test: /^(?!)/,
  resolve: Number,
  stringify: ({ value }) => (Object.is(value, -0) ? "-0.0" : formatFloat(value as number)),
};

/** Its reader refuses these as they are. */
const UNPRINTABLE = /[\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]/g;

/** Texts that mean something to its reader although YAML's own schema sees nothing in them. */
function needsQuotes(text: string): boolean {
  return text === "=" || text === "<<" || text.search(UNPRINTABLE) >= 0;
}

function isMerge(tag: string | { readonly tag: string }): boolean {
  return tag === "merge" || (typeof tag === "object" && tag.tag === "tag:yaml.org,2002:merge");
}

/** Throws for what YAML cannot tell. */
export function writeYaml(value: object): string {
  const document = new Document(value, {
    version: "1.1",
    merge: false,
    // Nothing is merged, and a key of this name is a name.
    customTags: (tags) => [FLOAT, ...tags.filter((tag) => !isMerge(tag))],
  });
  visit(document, {
    Scalar(_key, node) {
      if (typeof node.value !== "string") return;
      node.value = node.value.replace(/\p{Cs}/gu, "\ufffd");
      if (needsQuotes(node.value as string)) node.type = "QUOTE_DOUBLE";
    },
  });
  return document
    .toString({ lineWidth: 0 })
    .replace(
      UNPRINTABLE,
      (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
    );
}

/** Throws for what is no YAML. A time stays the text that it is. */
export function readYaml(text: string): unknown {
  return parse(text, { schema: "core" });
}
