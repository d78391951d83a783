// Starts the whole adapter in a worker.
import { instrumentMlflow } from "genops";

export default {
  fetch() {
    const options = { team: "ml-team", project: "p", trackingUri: "http://127.0.0.1:1" };
    return Response.json(instrumentMlflow(options).getMetrics());
  },
};
