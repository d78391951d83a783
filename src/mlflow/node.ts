// The MLflow client on Node, Deno and Bun: with local files, and a run that follows async calls.
import { stringify } from "yaml";
import { installRuntime } from "../runtime/capabilities.js";
import { nodeRuntime } from "../runtime/node.js";
import { registerYaml } from "./artifacts.js";

installRuntime(nodeRuntime);
registerYaml((value) => stringify(value));

export * from "./index.js";
