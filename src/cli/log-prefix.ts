import {safe} from './output/safe.ts'

/** Foreground colours of ECMA-48 that are readable on dark and on light. */
const colours = [36, 35, 32, 33, 34]

/** `name | ` for each, equally wide, each in another colour. */
export function prefixes(names: readonly string[], colour: boolean): string[] {
  const shown = names.map(name => safe(name))
  const width = Math.max(...shown.map(name => name.length))
  return shown.map((name, at) => {
    const text = `${name.padEnd(width)} | `
    return colour ? `\x1b[${colours[at % colours.length]}m${text}\x1b[0m` : text
  })
}
