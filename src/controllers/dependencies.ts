import type {FleetMemory} from '../domain/fleet-memory.ts'
import type {Journal} from '../domain/journal.ts'
import type {Fleet, OwnProgram, Store} from '../domain/ports.ts'
import type {Secrets, Vault} from '../domain/security-ports.ts'
import type {Recipes} from '../domain/task.ts'
import type {TaskFeed} from '../domain/task-feed.ts'
import type {Clock} from '../platform/clock.ts'

export interface ControllerSettings {
  /** A bound claim's node may be silent so long before the claim is given up or goes elsewhere (F6). */
  lostAfterMs: number
  /** The safety net under the events. */
  tickMs: number
  /** Exited containers stay so long for their logs (rule 12). */
  keepExitedMs: number
  /** Share of the fleet whose silence at once is blamed on the server's own network (F7). */
  massSilence: number
}

export const controllerDefaults: ControllerSettings = {
  lostAfterMs: 10 * 60_000,
  tickMs: 5_000,
  keepExitedMs: 24 * 60 * 60_000,
  massSilence: 0.55,
}

/** What the composition root gives. Journal and memory are the same objects that the services have. */
export interface ControllerDependencies {
  store: Store
  journal: Journal
  memory: FleetMemory
  fleet: Fleet
  clock: Clock
  secrets: Pick<Secrets, 'sha256'>
  vault: Vault
  serverId: string
  recipes: Recipes
  program: () => Promise<OwnProgram>
  taskFeed: TaskFeed
  /** A reconcile failed and will be repeated. */
  onError: (controller: string, key: string, error: unknown) => void
  settings?: Partial<ControllerSettings>
}
