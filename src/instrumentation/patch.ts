// Replaces one function of somebody else's, and gives it back by identity.

/** Is a patch in force? One that is not passes everything through. */
export type IsActive = () => boolean;

/**
 * Replaces `target[name]` by what `make` answers, until the function that is answered is called. When somebody has
 * patched above by then, theirs stays, and ours below it only passes through.
 */
export function patch<Target extends object, Name extends keyof Target>(
  target: Target,
  name: Name,
  make: (original: Target[Name], isActive: IsActive) => Target[Name],
): () => void {
  const original = target[name];
  if (typeof original !== "function") return () => {};
  const before = Object.getOwnPropertyDescriptor(target, name);
  let active = true;
  const replacement = make(original, () => active);
  target[name] = replacement;
  return () => {
    active = false;
    if (target[name] !== replacement) return;
    // As it was, whether value or accessor; what it had inherited it inherits again.
    if (before === undefined) delete target[name];
    else Object.defineProperty(target, name, before);
  };
}
