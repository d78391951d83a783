// A small MLflow for measuring: answers each call with nothing, and swallows files.
import { createServer } from "node:http";

const server = createServer((request, response) => {
  if (request.url.startsWith("/api/2.0/mlflow/runs/get?")) {
    const info = { run_id: "abc", experiment_id: "0" };
    response.end(JSON.stringify({ run: { info, data: {} } }));
    return;
  }
  request.resume();
  request.once("end", () => {
    response.setHeader("content-type", "application/json");
    response.end("{}");
  });
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
