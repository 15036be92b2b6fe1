/** The YAML library: CommonJS, so that it has all its functions on `default` in the bundle and by name in the source. */
export async function loadYaml(): Promise<typeof import('yaml')> {
  const library: typeof import('yaml') & {default?: typeof import('yaml')} = await import('yaml')
  return library.default ?? library
}
