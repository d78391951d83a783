// Where a client's calls go: a tracking store and a registry.
import { CONNECTION_OPTIONS, type ConnectionOptions, checkConnection } from "../connection.js";
import { explicitRegistryUri, getTrackingUri, locateStore } from "../store-uri.js";
import { openStore, type Store } from "../stores.js";
import { checkOptions } from "../validation.js";
import { bindMethods } from "./bound-methods.js";

export interface MlflowClientOptions extends ConnectionOptions {
  readonly trackingUri?: string | undefined;
  /** The tracking URI when left out, unless `setRegistryUri` or `MLFLOW_REGISTRY_URI` name another. */
  readonly registryUri?: string | undefined;
}

/** The two stores of a client. */
export class StoreConnection {
  readonly #store: Store;
  readonly #connection: ConnectionOptions | undefined;
  readonly #registryUri: string;
  #registryStore: Store | undefined;

  /** Throws MlflowError `INVALID_PARAMETER_VALUE` for a URI that this client cannot use. */
  constructor(options: MlflowClientOptions = {}) {
    checkOptions("MlflowClient", options, ["trackingUri", "registryUri", ...CONNECTION_OPTIONS]);
    const { trackingUri = getTrackingUri(), registryUri, ...connection } = options;
    checkConnection("MlflowClient", connection);
    if (registryUri !== undefined) locateStore(registryUri);
    // Without any, what was said when the URI was set.
    this.#connection = Object.keys(connection).length === 0 ? undefined : connection;
    this.#store = openStore(trackingUri, this.#connection);
    this.#registryUri = registryUri ?? explicitRegistryUri() ?? trackingUri;
    if (this.#registryUri === trackingUri) this.#registryStore = this.#store;
    bindMethods(this);
  }

  /** Without credentials. */
  get trackingUri(): string {
    return this.#store.uri;
  }

  /** As it is at this moment: asked for before anything is awaited, it is that of the moment of the call. */
  protected get store(): Store {
    return this.#store.atThisMoment?.() ?? this.#store;
  }

  /** As the store; opened when first used, so that an unusable registry does not stop the tracking. */
  protected get registry(): Store {
    this.#registryStore ??= openStore(this.#registryUri, this.#connection);
    return this.#registryStore.atThisMoment?.() ?? this.#registryStore;
  }
}
