import {loadYaml} from './yaml.ts'

/** What our own small YAML files hold: maps of maps of words. */
export interface Tree {
  [key: string]: string | Tree
}

/**
 * Reads the YAML that `writePlainYaml` writes; undefined for anything beyond it. The library costs 20 ms to load at every
 * start, so it is asked only for files that a person wrote in another style.
 */
export function readPlainYaml(text: string): Tree | undefined {
  const root: Tree = {}
  const open: Tree[] = [root]
  for (const line of text.split(/\r?\n/)) {
    if (/^\s*(#.*)?$/.test(line)) continue
    const match = /^( *)([A-Za-z0-9_.-]+):(?: +(.*?))? *$/.exec(line)
    if (!match) return undefined
    const [, indent = '', key = '', value = ''] = match
    const depth = indent.length / 2
    const parent = open[depth]
    if (!parent || key === '__proto__') return undefined
    open.length = depth + 1
    if (value === '') {
      const child: Tree = {}
      parent[key] = child
      open.push(child)
      continue
    }
    const word = readWord(value)
    if (word === undefined) return undefined
    parent[key] = word
  }
  return root
}

function readWord(value: string): string | undefined {
  if (/^"/.test(value)) {
    try {
      const word: unknown = JSON.parse(value)
      return typeof word === 'string' ? word : undefined
    } catch {
      return undefined
    }
  }
  return /^[A-Za-z0-9/_][^#'"&*!|>%@`{}[\],]*$/.test(value) && !/: /.test(value) ? value : undefined
}

/** Keys must be words of letters, digits, `_`, `.`, `-`. */
export function writePlainYaml(tree: Tree, indent = ''): string {
  return Object.entries(tree)
    .map(([key, value]) =>
      typeof value === 'string'
        ? `${indent}${key}: ${JSON.stringify(value)}\n`
        : `${indent}${key}:\n${writePlainYaml(value, `${indent}  `)}`,
    )
    .join('')
}

/** A settings file as a tree; an absent file is an empty one. Throws where it cannot be read or is no map. */
export async function parseSettings(text: string): Promise<Tree> {
  const plain = readPlainYaml(text)
  if (plain) return plain
  const {parse} = await loadYaml()
  const tree: unknown = parse(text, {maxAliasCount: 10, schema: 'failsafe'})
  if (tree === null || tree === '') return {}
  if (typeof tree !== 'object' || Array.isArray(tree)) throw new Error('it is not a map')
  return tree as Tree
}
