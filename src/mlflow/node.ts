// The MLflow client on Node, Deno and Bun: with local files, and a run that follows async calls.
import { installRuntime } from "../runtime/capabilities.js";
import { nodeRuntime } from "../runtime/node.js";
import { AzureStore } from "./artifact-stores/azure-store.js";
import { GcsStore } from "./artifact-stores/gcs-store.js";
import { downloadToFolder } from "./artifact-stores/local-download.js";
import { LocalStore } from "./artifact-stores/local-store.js";
import { registerArtifactScheme } from "./artifact-stores/open-store.js";
import { registerLocalDownloads } from "./artifact-stores/read.js";
import { S3Store } from "./artifact-stores/s3-store.js";
import { registerYaml } from "./artifacts.js";
import { registerServicePrincipals } from "./credentials.js";
import { oauthToken } from "./databricks-oauth.js";
import { createFileStore } from "./file-store/file-store.js";
import { registerLocalStores } from "./stores.js";
import { readYaml, writeYaml } from "./yaml.js";

installRuntime(nodeRuntime);
registerYaml(writeYaml, readYaml);
registerServicePrincipals(oauthToken);
registerLocalStores(createFileStore);
registerArtifactScheme("file", (uri) => new LocalStore(uri));
registerArtifactScheme("s3", (uri) => new S3Store(uri));
registerArtifactScheme("gs", (uri) => new GcsStore(uri));
for (const scheme of ["wasbs", "abfss"]) {
  registerArtifactScheme(scheme, (uri) => new AzureStore(uri));
}
registerLocalDownloads(downloadToFolder);

export * from "./index.js";
