// What a client remembers of its store: a bounded number of things, the oldest leave.
/** As many as Python's client remembers. */
const MAX_REMEMBERED = 1024;

export function remember<V>(memory: Map<string, V>, key: string, value: V): void {
  memory.delete(key);
  memory.set(key, value);
  if (memory.size > MAX_REMEMBERED) {
    for (const oldest of memory.keys()) {
      memory.delete(oldest);
      break;
    }
  }
}
