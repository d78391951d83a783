// Texts of the module as bytes.

/**
 * Address of the bytes of a template literal, with a zero behind them. The build puts the bytes
 * into static data; there is no such function in the module.
 */
export declare function ascii(text: string): usize;

/** Number of bytes before the zero. */
export function lengthOf(text: usize): u32 {
  let length: u32 = 0;
  while (load<u8>(text + length) != 0) length++;
  return length;
}
