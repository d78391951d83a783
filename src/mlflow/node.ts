// The MLflow client on Node, Deno and Bun: with local files, and a run that follows async calls.
import { installRuntime } from "../runtime/capabilities.js";
import { nodeRuntime } from "../runtime/node.js";
import { registerYaml } from "./artifacts.js";
import { createFileStore } from "./file-store/file-store.js";
import { writeLocalArtifact } from "./file-store/local-artifacts.js";
import { registerLocalStores } from "./stores.js";
import { writeYaml } from "./yaml.js";

installRuntime(nodeRuntime);
registerYaml(writeYaml);
registerLocalStores(createFileStore, writeLocalArtifact);

export * from "./index.js";
