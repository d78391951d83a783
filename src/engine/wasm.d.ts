// The build inlines the compiled engine as base64 text; in the files for workerd it stays a module.
declare module "*.wasm" {
  const packaged: string | WebAssembly.Module;
  export default packaged;
}
