import type {Client} from '../../client/client.ts'
import type {Applied} from '../../contract/schemas/applied.ts'
import type {ManifestKind} from '../../contract/schemas/manifests.ts'
import {exitCode} from '../exit-codes.ts'
import {Failure} from '../failure.ts'
import {catalogueKinds} from './catalogue-kinds.ts'
import {type Difference, differences} from './compare.ts'
import type {KindOf, Kinds} from './kind.ts'
import {type Manifest, manifestKinds, type Wanted} from './read.ts'
import {workKinds} from './work-kinds.ts'

export const kinds: Kinds = {...catalogueKinds, ...workKinds}

/** One thing, and what has to be done about it. */
export interface Step {
  name: string
  action: 'create' | 'change' | 'none' | 'remove'
  changes: Difference[]
  manifest?: Manifest
  place?: string
  /** Of what goes. */
  id?: string
}

/** The kind without its manifest's type: kind and manifest of a step always belong together. */
export function kindOf(kind: ManifestKind): KindOf<Manifest> {
  return kinds[kind] as unknown as KindOf<Manifest>
}

/** What has to be done, in its order; nothing is done yet. `made`: what apply made earlier and may take away. */
export async function planOf(
  client: Client,
  wanted: readonly Wanted[],
  made: readonly Applied[] = [],
): Promise<Step[]> {
  const steps: Step[] = []
  for (const {manifest, name, place} of wanted) {
    const {find, partial} = kindOf(manifest.kind)
    const found = await find(client, manifest)
    const {kind: _, ...fields} = manifest
    const changes = differences(fields, found ?? {}, partial)
    const action = found ? (changes.length === 0 ? 'none' : 'change') : 'create'
    steps.push({name, action, changes, manifest, place})
  }
  const kept = new Set(wanted.map(({name}) => name))
  const going = made
    .map(({kind, name, id}): Step => ({name: `${kind}/${name}`, action: 'remove', changes: [], id}))
    .filter(({name}) => !kept.has(name))
  return [...steps, ...going.sort((a, b) => orderOf(b) - orderOf(a))]
}

/** What cannot be done: changes of what is fixed for life. Throws before anything is done. */
export function refuseFixed(steps: readonly Step[]): void {
  const problems: string[] = []
  const hints: string[] = []
  for (const {name, action, changes, manifest, place} of steps) {
    if (action !== 'change' || !manifest) continue
    const {changeable, replace} = kindOf(manifest.kind)
    const stuck = changes.filter(({field}) => !changeable.includes(field.split('.')[0] ?? ''))
    if (stuck.length === 0) continue
    const fields = stuck.map(({field, from, to}) => `${field} is ${shown(from)}, wanted is ${shown(to)}`)
    problems.push(`${place}: ${name}: ${fields.join('; ')}`)
    hints.push(replace(manifest))
  }
  if (problems.length > 0) {
    const details = {exitCode: exitCode.conflict, hint: [...new Set(hints)].join('\n'), details: {problems}}
    throw new Failure('fixed_for_life', problems.join('\n'), details)
  }
}

export function shown(value: unknown): string {
  if (value === undefined) return 'not set'
  return typeof value === 'string' && value !== '' ? value : JSON.stringify(value)
}

function orderOf({name}: Step): number {
  return manifestKinds.indexOf(name.slice(0, name.indexOf('/')) as ManifestKind)
}
