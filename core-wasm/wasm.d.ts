// What an import of a .wasm file `with { type: 'file' }` gives: the path of the file, also inside a
// compiled program.
declare module '*.wasm' {
  const path: string;
  // biome-ignore lint/style/noDefaultExport: this is how Bun exports a file, not a choice of ours
  export default path;
}
