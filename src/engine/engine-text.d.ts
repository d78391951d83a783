// The compiled engine travels as text; in the files for workerd it stays a module.
declare module "*/engine-text.js" {
  const packaged: string | WebAssembly.Module;
  export default packaged;
}
