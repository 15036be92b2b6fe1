import type {FoundSnapshot, PushedSnapshot, SnapshotName} from '../contract/agent-protocol.ts'
import type {Clock} from '../platform/clock.ts'
import type {Logger} from '../platform/logger.ts'
import {type RuntimeDriver, RuntimeError, type RuntimeSnapshots} from '../runtime/driver.ts'
import {Removal} from './removal.ts'

interface SnapshotParts {
  driver: RuntimeDriver
  clock: Clock
  logger: Logger
  onGone: (name: SnapshotName) => void
}

/** Snapshots of this machine's containers. While one is being made none of that instance is removed. */
export class Snapshots {
  readonly #driver: RuntimeDriver
  readonly #removal: Removal
  readonly #taking = new Map<string, Promise<FoundSnapshot>>()
  readonly #pushing = new Map<string, Promise<PushedSnapshot>>()

  constructor({driver, clock, logger, onGone}: SnapshotParts) {
    this.#driver = driver
    this.#removal = new Removal({
      ...{clock, logger},
      remove: key => this.remove(nameOf(key)),
      onGone: key => onGone(nameOf(key)),
    })
  }

  find(name: SnapshotName): Promise<FoundSnapshot | undefined> {
    return this.#ability().find(name)
  }

  /** No engine stops amid it, so it goes on when who asked is gone; who asks again joins. */
  async take(name: SnapshotName, containerId: string): Promise<FoundSnapshot> {
    const key = keyOf(name)
    const known = this.#taking.get(key)
    if (known) return known
    const taking = this.#ability().create(containerId, name)
    this.#taking.set(key, taking)
    try {
      return await taking
    } finally {
      this.#taking.delete(key)
    }
  }

  /** Ends with the signal. One that was cut off tidies before the next begins. */
  async push(name: SnapshotName, image: string, signal: AbortSignal): Promise<PushedSnapshot> {
    const ability = this.#ability()
    const key = keyOf(name)
    const last = this.#pushing.get(key)
    const pushing = Promise.allSettled([last]).then(() => ability.push(name, image, signal))
    this.#pushing.set(key, pushing)
    try {
      return await pushing
    } finally {
      if (this.#pushing.get(key) === pushing) this.#pushing.delete(key)
    }
  }

  async remove(name: SnapshotName): Promise<void> {
    const taken = [...this.#taking].filter(([key]) => nameOf(key).instanceId === name.instanceId)
    await Promise.allSettled(taken.map(([, taking]) => taking))
    await Promise.allSettled([this.#pushing.get(keyOf(name))])
    await this.#driver.snapshots?.remove(name)
  }

  /** They go for good. */
  wantGone(names: readonly SnapshotName[]): void {
    this.#removal.want(names.map(keyOf))
  }

  idle(): Promise<void> {
    return this.#removal.idle()
  }

  close(): Promise<void> {
    return this.#removal.close()
  }

  #ability(): RuntimeSnapshots {
    const {snapshots, name} = this.#driver
    if (!snapshots) throw new RuntimeError('invalid', `The runtime ${name} has no images, and so no snapshots.`)
    return snapshots
  }
}

function keyOf({instanceId, snapshotId}: SnapshotName): string {
  return `${instanceId}/${snapshotId}`
}

function nameOf(key: string): SnapshotName {
  const [instanceId = '', snapshotId = ''] = key.split('/')
  return {instanceId, snapshotId}
}
