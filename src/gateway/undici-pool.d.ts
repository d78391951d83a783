// The one part of undici that the gateway takes along, which has no declaration of its own.
declare module "undici/lib/dispatcher/pool.js" {
  import { Pool } from "undici";

  export default Pool;
}
