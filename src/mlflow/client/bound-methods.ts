// Methods that know their object, so that they can be taken from it and passed on: as Python's do.

const namesOf = new WeakMap<object, readonly string[]>();

/** Names of the methods that objects of a prototype have. */
function methodNames(own: object): readonly string[] {
  const known = namesOf.get(own);
  if (known !== undefined) return known;
  const names = new Set<string>();
  for (let prototype = own; prototype !== Object.prototype; ) {
    for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(prototype))) {
      if (typeof value === "function" && name !== "constructor") names.add(name);
    }
    prototype = Object.getPrototypeOf(prototype);
  }
  const found = [...names];
  namesOf.set(own, found);
  return found;
}

/** Gives an object its class's methods as its own, bound to it; they do not show when it is printed. */
export function bindMethods(object: object): void {
  const methods = object as Record<string, (...rest: unknown[]) => unknown>;
  for (const name of methodNames(Object.getPrototypeOf(object))) {
    const value = methods[name]?.bind(object);
    Object.defineProperty(object, name, { value, writable: true, configurable: true });
  }
}
