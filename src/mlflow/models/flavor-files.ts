// Where the file is that a flavour is loaded from.
import { hasCode } from "../errors.js";
import { getModelInfo } from "../fluent/model-info.js";
import { resolveModelUri } from "../fluent/registry.js";
import { joinUri } from "../stores.js";
import { flavorOf } from "./model-info.js";

/**
 * The URI of the file that a flavour's field names. Where YAML cannot be read, as in a page, it is where
 * this client and Python's put it.
 */
export async function flavorFile(
  modelUri: string,
  flavor: string,
  field: string,
  usual: string,
): Promise<string> {
  try {
    const info = await getModelInfo(modelUri);
    return joinUri(info.artifactUri, String(flavorOf(info, flavor)[field] ?? usual));
  } catch (error) {
    if (!hasCode(error, "NOT_IMPLEMENTED")) throw error;
    return joinUri((await resolveModelUri(modelUri)).artifactUri, usual);
  }
}
