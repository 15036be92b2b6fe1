import {Failure, usageError} from '../failure.ts'
import {escapeJson, safe} from './safe.ts'

/** jq as WebAssembly; its package has no types. */
interface Jq {
  /** What jq prints for that text. Throws with what it says on stderr. */
  raw(json: string, program: string, flags?: readonly string[]): string
}

/** What the jq program makes of the value: texts as they are, everything else as JSON, a line each (as `gh --jq`). */
export async function runJq(value: unknown, program: string): Promise<string> {
  const jq = await load()
  try {
    const lines = jq.raw(JSON.stringify(value), program, ['-c']).split('\n').filter(Boolean)
    return lines.map(line => `${readable(line)}\n`).join('')
  } catch (error) {
    throw usageError(
      `--jq: ${reasonOf(error as Error)}`,
      'Programs are those of jq: .[].name, map(select(.gpusFree > 0))',
    )
  }
}

/** The package exports a promise, which `import()` would take for its own. */
async function load(): Promise<Jq> {
  const {createRequire} = await import('node:module')
  const require = createRequire(import.meta.url)
  try {
    return await require('jq-web')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'MODULE_NOT_FOUND') throw error
    throw new Failure('jq_missing', '--jq needs the package jq-web, which is not installed.', {
      hint: 'Install gpuctl anew, or pipe -o json into jq.',
    })
  }
}

function readable(line: string): string {
  const value: unknown = JSON.parse(line)
  return typeof value === 'string' ? safe(value, {keepNewlines: true}) : escapeJson(line)
}

function reasonOf({message}: Error): string {
  const said = message.split('\n').find(line => line.startsWith('jq: error')) ?? message
  return said.replace(/^jq: error[^:]*: /, '').trim()
}
