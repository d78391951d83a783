// Where a client's calls go: a tracking store and a registry.
import { explicitRegistryUri, getTrackingUri, locateStore } from "../store-uri.js";
import { openStore, type Store } from "../stores.js";
import { checkOptions } from "../validation.js";

export interface MlflowClientOptions {
  readonly trackingUri?: string | undefined;
  /** The tracking URI when left out, unless `setRegistryUri` or `MLFLOW_REGISTRY_URI` name another. */
  readonly registryUri?: string | undefined;
}

/** The two stores of a client. */
export class StoreConnection {
  protected readonly store: Store;
  readonly #registryUri: string;
  #registryStore: Store | undefined;

  /** Throws MlflowError `INVALID_PARAMETER_VALUE` for a URI that this client cannot use. */
  constructor(options: MlflowClientOptions = {}) {
    checkOptions("MlflowClient", options, ["trackingUri", "registryUri"]);
    const trackingUri = options.trackingUri ?? getTrackingUri();
    if (options.registryUri !== undefined) locateStore(options.registryUri);
    this.store = openStore(trackingUri);
    this.#registryUri = options.registryUri ?? explicitRegistryUri() ?? trackingUri;
    if (this.#registryUri === trackingUri) this.#registryStore = this.store;
  }

  /** Without credentials. */
  get trackingUri(): string {
    return this.store.uri;
  }

  /** Opened when first used, so that an unusable registry does not stop the tracking. */
  protected get registry(): Store {
    this.#registryStore ??= openStore(this.#registryUri);
    return this.#registryStore;
  }
}
