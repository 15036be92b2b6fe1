import {readFile} from 'node:fs/promises'
import {Flags} from '@oclif/core'
import type {ClaimSpec} from '../contract/schemas/claims.ts'
import {usageError} from './failure.ts'
import {readStdin} from './prompt.ts'
import {durationFlag, labelFlag, memoryFlag, readPairs} from './units.ts'
import {loadYaml} from './yaml.ts'

/** What one may ask for: flags of `claim submit`, which change what a file says. */
export const claimFlags = {
  file: Flags.string({char: 'f', description: 'YAML file with the claim, - for standard input', helpValue: '<file>'}),
  image: Flags.string({description: 'image of the container; `host` on a node that runs processes'}),
  gpus: Flags.integer({description: 'how many GPUs', min: 0, max: 1024}),
  'gpu-model': Flags.string({description: 'part of the model name, as 4090'}),
  vram: memoryFlag({description: 'least memory of each GPU, as 24GiB'}),
  cpus: Flags.string({description: 'processors, as 4 or 0.5', helpValue: '<number>'}),
  memory: memoryFlag({description: 'main memory, as 8GiB'}),
  env: Flags.string({
    char: 'e',
    description: 'variable KEY=VALUE, or KEY for the value here; may be repeated',
    multiple: true,
    multipleNonGreedy: true,
  }),
  'env-file': Flags.string({description: 'file with a KEY=VALUE on each line', helpValue: '<file>'}),
  name: Flags.string({description: 'name of the claim and its instance; made up unless given'}),
  label: labelFlag,
  restart: Flags.option({
    description: 'when the workload ends; never unless given',
    options: ['never', 'on-failure', 'always'] as const,
  })(),
  priority: Flags.integer({description: 'from -100 to 100; 0 unless given', min: -100, max: 100}),
  'max-time': durationFlag({description: 'end it after so long'}),
  node: Flags.string({description: 'only this node will do'}),
  volume: Flags.string({
    description:
      'one of your sites and its place in the container, as datasets:/data or datasets:/data:ro; may be repeated',
    multiple: true,
    multipleNonGreedy: true,
    helpValue: '<site>:<path>[:ro]',
  }),
}

export interface ClaimFlags {
  file?: string
  image?: string
  gpus?: number
  'gpu-model'?: string
  vram?: number
  cpus?: string
  memory?: number
  env?: string[]
  'env-file'?: string
  name?: string
  label?: string[]
  restart?: ClaimSpec['restart']
  priority?: number
  'max-time'?: number
  node?: string
  volume?: string[]
}

/** The claim that file, flags and command together describe; what a flag says wins. */
export async function readClaim(flags: ClaimFlags, command: string[]): Promise<ClaimSpec> {
  const fromFile = flags.file === undefined ? {} : await readClaimFile(flags.file)
  const env = {...fromFile.env, ...(await readEnvFile(flags['env-file'])), ...readVariables(flags.env)}
  const labels = {...fromFile.labels, ...readPairs(flags.label, '--label')}
  const spec: Partial<ClaimSpec> = {
    ...fromFile,
    ...given({
      image: flags.image,
      name: flags.name,
      command: command.length > 0 ? command : undefined,
      gpus: readGpus(flags, fromFile.gpus),
      cpus: readCpus(flags.cpus),
      memoryMiB: flags.memory,
      env: Object.keys(env).length > 0 ? env : undefined,
      labels: Object.keys(labels).length > 0 ? labels : undefined,
      restart: flags.restart,
      priority: flags.priority,
      maxTimeSeconds: flags['max-time'] === undefined ? undefined : Math.max(1, Math.round(flags['max-time'] / 1000)),
      node: flags.node,
      volumes: readVolumes(flags.volume),
    }),
  }
  if (!spec.image) throw usageError('No image is given.', 'Give --image, or -f with a file that names one.')
  return spec as ClaimSpec
}

/** The words behind `--`; words without it are refused, because a forgotten flag would become a command. */
export function commandOf(words: readonly string[], argv: readonly string[]): string[] {
  const dashes = argv.indexOf('--')
  const behind = dashes < 0 ? 0 : argv.length - dashes - 1
  if (words.length > behind) {
    throw usageError(
      `${words[0]} has no place here.`,
      'The command of the workload stands behind `--`, as `-- python train.py`.',
    )
  }
  return [...words]
}

/** As `commandOf`, where one word before `--` is a name. */
export function nameAndCommand(words: readonly string[], argv: readonly string[]): {name?: string; command: string[]} {
  const dashes = argv.indexOf('--')
  const behind = dashes < 0 ? 0 : argv.length - dashes - 1
  const hasName = words.length > behind
  return {name: hasName ? words[0] : undefined, command: commandOf(hasName ? words.slice(1) : words, argv)}
}

function readVolumes(words: readonly string[] | undefined): ClaimSpec['volumes'] {
  return words?.map(word => {
    const [, site = '', path = '', mode] = /^([^:/]+):(\/[^:]*)(?::(ro|rw))?$/.exec(word) ?? []
    if (site === '')
      throw usageError(`--volume: ${word} is no site and path.`, 'Write it as NAME:/data or NAME:/data:ro.')
    return {site, path, ...(mode === 'ro' ? {readOnly: true} : {})}
  })
}

function readGpus(flags: ClaimFlags, inFile: ClaimSpec['gpus']): ClaimSpec['gpus'] {
  const {gpus: count, 'gpu-model': model, vram: minMemoryMiB} = flags
  if (count === undefined && model === undefined && minMemoryMiB === undefined) return inFile
  return {...inFile, count: count ?? inFile?.count ?? 1, ...given({model, minMemoryMiB})}
}

export function readCpus(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const cpus = Number(text)
  if (!/^\d+(\.\d+)?$/.test(text) || cpus <= 0) throw usageError(`--cpus: ${text} is not a number above 0.`)
  return cpus
}

async function readClaimFile(path: string): Promise<Partial<ClaimSpec>> {
  const text = path === '-' ? await readStdin() : await readText(path)
  const {parse} = await loadYaml()
  let tree: unknown
  try {
    tree = parse(text, {maxAliasCount: 10})
  } catch (error) {
    throw usageError(`${path} is not readable YAML: ${(error as Error).message.split('\n')[0]}`)
  }
  if (typeof tree !== 'object' || tree === null || Array.isArray(tree)) {
    throw usageError(`${path} holds no claim.`, 'Write it as `image: …`, `gpus: {count: 1}`, `command: […]`.')
  }
  return tree as Partial<ClaimSpec>
}

/** `KEY` alone takes the value that the variable has here, and nothing where it has none (as docker does). */
function readVariables(words: readonly string[] = []): Record<string, string> {
  const complete = words.flatMap(word => {
    if (word.includes('=')) return [word]
    const value = process.env[word]
    return value === undefined ? [] : [`${word}=${value}`]
  })
  const variables = readPairs(complete, '--env') ?? {}
  for (const name of Object.keys(variables)) {
    if (/^[A-Za-z_][A-Za-z0-9_.-]*$/.test(name)) continue
    throw usageError(
      `--env: ${name} is no name of a variable.`,
      'It begins with a letter or _, and takes digits after it.',
    )
  }
  return variables
}

async function readEnvFile(path: string | undefined): Promise<Record<string, string>> {
  if (path === undefined) return {}
  const lines = (await readText(path))
    .split(/\r?\n/)
    .filter(line => line.trim() !== '' && !line.trimStart().startsWith('#'))
  return readPairs(lines, path) ?? {}
}

function readText(path: string): Promise<string> {
  return readFile(path, 'utf8').catch((error: Error) => {
    throw usageError(`${path} cannot be read: ${error.message}`)
  })
}

function given<T extends object>(fields: T): T {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as T
}
