import type {Clock, SettingTable} from './ports.ts'

const setting = 'join:blocked_addresses'
/** More are not kept: the block that ends first goes. */
const mostBlocked = 1_000

/** The addresses from which a request to join was refused for a time. They outlive a restart. */
export class BlockedAddresses {
  readonly #clock: Clock
  #untilMs = new Map<string, number>()

  constructor({clock}: {clock: Clock}) {
    this.#clock = clock
  }

  async restore(settings: Pick<SettingTable, 'get'>): Promise<void> {
    this.#untilMs = await kept(settings)
  }

  has(address: string): boolean {
    return (this.#untilMs.get(address) ?? 0) > this.#clock.now()
  }

  /** Keeps it; `noted` makes it hold, once that is committed. */
  async keep(settings: SettingTable, address: string, untilMs: number): Promise<void> {
    const live = [...(await kept(settings)).set(address, untilMs)].filter(([, endsMs]) => endsMs > this.#clock.now())
    const soonestFirst = live.sort(([, one], [, other]) => one - other)
    await settings.set(setting, JSON.stringify(soonestFirst.slice(-mostBlocked)))
  }

  noted(address: string, untilMs: number): void {
    for (const [other, endsMs] of this.#untilMs) if (endsMs <= this.#clock.now()) this.#untilMs.delete(other)
    this.#untilMs.set(address, untilMs)
  }
}

async function kept(settings: Pick<SettingTable, 'get'>): Promise<Map<string, number>> {
  return new Map(JSON.parse((await settings.get(setting)) ?? '[]') as [string, number][])
}
