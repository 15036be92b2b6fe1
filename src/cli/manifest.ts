import {readFile} from 'node:fs/promises'
import {join} from 'node:path'

/** What oclif.manifest.json says of a command. */
export interface DescribedCommand {
  id: string
  summary?: string
  description?: string
  examples?: string[]
  hidden?: boolean
  args: Record<string, {name: string; description?: string; required?: boolean}>
  flags: Record<string, DescribedFlag>
}

export interface DescribedFlag {
  name: string
  char?: string
  type: 'boolean' | 'option'
  description?: string
  helpGroup?: string
  helpValue?: string
  env?: string
  options?: string[]
  required?: boolean
  hidden?: boolean
  allowNo?: boolean
  multiple?: boolean
}

/** All commands that are shown, by their ids. `root` is the package's folder. */
export async function readCommands(root: string): Promise<DescribedCommand[]> {
  const text = await readFile(join(root, 'oclif.manifest.json'), 'utf8')
  const {commands} = JSON.parse(text) as {commands: Record<string, DescribedCommand>}
  return Object.values(commands)
    .filter(({hidden}) => !hidden)
    .sort((a, b) => (a.id < b.id ? -1 : 1))
}

/** `gpuctl node drain NODE` */
export function usageOf({id, args}: DescribedCommand): string {
  const places = Object.values(args).map(({name, required}) =>
    required ? name.toUpperCase() : `[${name.toUpperCase()}]`,
  )
  return ['gpuctl', ...id.split(':'), ...places].join(' ')
}

/** `-o, --output=<format>` */
export function flagWord({name, char, type, helpValue, allowNo, options}: DescribedFlag): string {
  const value = type === 'option' ? `=${helpValue ?? (options ? `<${options.join('|')}>` : '<value>')}` : ''
  return `${char ? `-${char}, ` : ''}--${allowNo ? '[no-]' : ''}${name}${value}`
}
