// Sends what a program answers, or how it failed, to the server that the page came from.

export async function send(program) {
  let result;
  try {
    result = await program();
  } catch (error) {
    result = { failed: `${error}\n${error?.stack ?? ""}` };
  }
  await fetch("/result", { method: "POST", body: JSON.stringify(result) });
}
