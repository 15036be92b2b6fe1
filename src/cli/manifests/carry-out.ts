import {ApiError} from '../../client/api-error.ts'
import type {Client} from '../../client/client.ts'
import type {ManifestKind} from '../../contract/schemas/manifests.ts'
import {exitCodeOf} from '../exit-codes.ts'
import {Failure} from '../failure.ts'
import {kindOf, type Step} from './plan.ts'
import type {ApplyRecord} from './record.ts'

/**
 * Does the steps in their order and tells of each; what was made and removed so far is recorded also when one fails. A
 * refusal of the server comes with the place of the manifest.
 */
export async function carryOut(
  client: Client,
  steps: readonly Step[],
  options: {record: ApplyRecord; waiting: {quiet: boolean; timeoutMs?: number}; tell: (step: Step) => Promise<void>},
): Promise<void> {
  const made: string[] = []
  const removed: string[] = []
  try {
    for (const step of steps) {
      const {name, action, changes, manifest} = step
      const kind = kindOf((manifest?.kind ?? name.slice(0, name.indexOf('/'))) as ManifestKind)
      try {
        if (action === 'create' && manifest) {
          await kind.create(client, manifest, options.waiting)
          if (kind.remove) made.push(name)
        }
        if (action === 'change' && manifest) await kind.change(client, manifest, changes)
        if (action === 'remove') {
          await kind.remove?.(client, name.slice(name.indexOf('/') + 1))
          removed.push(name)
        }
      } catch (error) {
        throw withPlace(error, step)
      }
      await options.tell(step)
    }
  } finally {
    await options.record.change({made, removed})
  }
}

function withPlace(error: unknown, {name, place}: Step): unknown {
  if (!(error instanceof ApiError)) return error
  const {code, status, message, hint, details} = error
  const where = place === undefined ? name : `${place}: ${name}`
  return new Failure(code, `${where}: ${message}`, {hint, exitCode: exitCodeOf(code, status), details})
}
