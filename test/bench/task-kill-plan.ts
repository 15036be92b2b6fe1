/** What follows `then` comes while a cancelled task is taken back, or while the new agent goes on with it. */
const victims = [
  ...(['agent', 'server', 'both', 'cancel'] as const),
  ...(['cancel, then agent', 'cancel, then server', 'agent, then server'] as const),
]
export type Victim = (typeof victims)[number]

/** A step that is over before anybody looks is tried so many times as often as it is to be hit. */
const triesPerKill = 3
/** And one that was never hit so many times at most: it does nothing here. */
const mostMisses = 15
/** Of the pause before a kill that came too late, the next time. */
const sooner = 0.7

interface StepAims {
  name: string
  /** As it was seen, undisturbed. */
  lengthMs: number
  hits: Record<Victim, number>
  /** Also what came too late, or was over before its second half. */
  aimed: Record<Victim, number>
  misses: number
}

/** Which steps of which tasks were hit by what, and which come next. */
export class TaskKillPlan {
  readonly #killsPerStep: number
  readonly #kinds = new Map<string, TaskKind>()

  constructor(killsPerStep: number) {
    this.#killsPerStep = killsPerStep
  }

  of(trial: string, task: {type: string; steps: readonly {name: string}[]}): TaskKind {
    const names = task.steps.map(({name}) => name)
    // The same kind of task may have other steps, as a restore over what is there.
    const key = `${trial}: ${task.type} (${names.join(', ')})`
    const known = this.#kinds.get(key)
    if (known) return known
    const kind = new TaskKind(this.#killsPerStep, names)
    this.#kinds.set(key, kind)
    return kind
  }

  /** Whether every step that can be hit was hit often enough. */
  isDone(trial: string): boolean {
    const kinds = [...this.#kinds].filter(([key]) => key.startsWith(`${trial}: `))
    return kinds.length > 0 && kinds.every(([, kind]) => kind.isDone())
  }

  /** As `pools zfs: pool.create (create, register): create 50 (13 agent; 7 cancel, then server; …)`. */
  lines(): string[] {
    return [...this.#kinds].map(([key, kind]) => `${key}: ${kind}`)
  }

  /** Tasks of which no step was ever hit: their injector does not work. */
  unhit(): string[] {
    return [...this.#kinds].filter(([, kind]) => kind.isUnhit()).map(([key]) => key)
  }
}

class TaskKind {
  readonly #killsPerStep: number
  readonly #steps: StepAims[]
  #isKnown = false
  #last: {step: number; sinceMs: number} | undefined

  constructor(killsPerStep: number, names: readonly string[]) {
    this.#killsPerStep = killsPerStep
    const none = () => Object.fromEntries(victims.map(victim => [victim, 0])) as Record<Victim, number>
    this.#steps = names.map(name => ({name, lengthMs: 0, hits: none(), aimed: none(), misses: 0}))
  }

  /** The next one; undefined for a task that is only watched. */
  aim(): {step: number; victim: Victim} | undefined {
    this.#last = undefined
    if (!this.#isKnown) {
      this.#isKnown = true
      return undefined
    }
    const open = this.#steps.map((step, index) => ({step, index})).filter(({step}) => !this.#isStepDone(step))
    const [next] = open.sort((a, b) => triesOf(a.step) - triesOf(b.step))
    if (!next) return undefined
    const {aimed} = next.step
    const rarest = Math.min(...victims.map(victim => aimed[victim]))
    const victim = victims.find(one => aimed[one] === rarest) as Victim
    aimed[victim]++
    return {step: next.index, victim}
  }

  seen(step: number, atMs: number): void {
    if (this.#last?.step !== step) this.#last = {step, sinceMs: atMs}
    const found = this.#steps[step]
    if (found) found.lengthMs = Math.max(found.lengthMs, atMs - this.#last.sinceMs)
  }

  lengthMs(step: number): number {
    return this.#steps[step]?.lengthMs ?? 0
  }

  hit(step: number, victim: Victim): void {
    const found = this.#steps[step]
    if (found) found.hits[victim]++
  }

  missed(step: number): void {
    const found = this.#steps[step]
    if (!found) return
    found.misses++
    found.lengthMs *= sooner
  }

  isDone(): boolean {
    return this.#isKnown && this.#steps.every(step => this.#isStepDone(step))
  }

  isUnhit(): boolean {
    return this.#steps.every(step => hitsOf(step) === 0)
  }

  toString(): string {
    return this.#steps
      .map(step => {
        const hits = victims.filter(victim => step.hits[victim] > 0).map(victim => `${step.hits[victim]} ${victim}`)
        if (step.misses > 0) hits.push(`${step.misses} came too late`)
        return `${step.name} ${hitsOf(step)} (${hits.join('; ')})`
      })
      .join('; ')
  }

  #isStepDone(step: StepAims): boolean {
    const isIdle = hitsOf(step) === 0 && step.misses >= mostMisses
    return isIdle || hitsOf(step) >= this.#killsPerStep || triesOf(step) >= triesPerKill * this.#killsPerStep
  }
}

function hitsOf({hits}: StepAims): number {
  return victims.reduce((sum, victim) => sum + hits[victim], 0)
}

function triesOf(step: StepAims): number {
  return hitsOf(step) + step.misses
}
