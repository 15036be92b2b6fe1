import {ApiError} from '../../client/api-error.ts'
import type {Client} from '../../client/client.ts'
import type {ManifestKind} from '../../contract/schemas/manifests.ts'
import {exitCodeOf} from '../exit-codes.ts'
import {Failure} from '../failure.ts'
import type {Making} from './kind.ts'
import {kindOf, type Step} from './plan.ts'

/** Does the steps in their order and tells of each. A refusal of the server comes with the place of the manifest. */
export async function carryOut(
  client: Client,
  steps: readonly Step[],
  options: {making: Making; tell: (step: Step) => Promise<void>},
): Promise<void> {
  for (const step of steps) {
    const {name, action, changes, manifest, id} = step
    const kind = kindOf((manifest?.kind ?? name.slice(0, name.indexOf('/'))) as ManifestKind)
    try {
      if (action === 'create' && manifest) await kind.create(client, manifest, options.making)
      if (action === 'change' && manifest) await kind.change(client, manifest, changes)
      if (action === 'remove' && id) await kind.remove?.(client, id)
    } catch (error) {
      throw withPlace(error, step)
    }
    await options.tell(step)
  }
}

function withPlace(error: unknown, {name, place}: Step): unknown {
  if (!(error instanceof ApiError)) return error
  const {code, status, message, hint, details} = error
  const where = place === undefined ? name : `${place}: ${name}`
  return new Failure(code, `${where}: ${message}`, {hint, exitCode: exitCodeOf(code, status), details})
}
