import {readdir, stat} from 'node:fs/promises'
import type {Exec} from '../platform/exec.ts'
import {type AmdCards, parseAmdSmi, parseRocmSmi} from './amd-output.ts'
import type {GpuCollector, GpuReading, GpuSample} from './collector.ts'
import {type SmiAnswer, SmiTool} from './smi-tool.ts'

export interface AmdCollectorOptions {
  exec: Exec
  /** Paths of the tools, or names in PATH. */
  amdSmi?: string
  rocmSmi?: string
  /** How long one call of a tool may take. Default 5 s; the tools are Python and need about one. */
  timeoutMs?: number
  /** Where the kernel shows the PCI devices and the device files; other folders in tests. */
  sysDir?: string
  devDir?: string
}

const rocmArguments = [
  '--showid',
  '--showproductname',
  '--showuniqueid',
  '--showbus',
  '--showmeminfo',
  'vram',
  '--showuse',
  '--showtemp',
  '--showpower',
  '--showdriverversion',
  '--json',
]

/**
 * GPUs by `amd-smi`, or by the older `rocm-smi` where only that is installed. A container needs the card's device files:
 * `/dev/kfd` and the render node, which sysfs tells by the card's PCI address.
 */
export class AmdCollector implements GpuCollector {
  readonly vendor = 'amd'
  readonly #amdSmi: SmiTool
  readonly #rocmSmi: SmiTool
  readonly #sysDir: string
  readonly #devDir: string
  readonly #seenCards = new Map<string, number>()
  #staticText: string | undefined
  #sample: Promise<GpuSample> | undefined

  constructor({
    exec,
    amdSmi = 'amd-smi',
    rocmSmi = 'rocm-smi',
    timeoutMs = 5_000,
    sysDir = '/sys',
    devDir = '/dev',
  }: AmdCollectorOptions) {
    this.#amdSmi = new SmiTool({exec, file: amdSmi, timeoutMs})
    this.#rocmSmi = new SmiTool({exec, file: rocmSmi, timeoutMs})
    this.#sysDir = sysDir
    this.#devDir = devDir
  }

  async unavailable(): Promise<string | undefined> {
    const amd = await this.#amdSmi.run(['version'])
    if (amd.outcome !== 'absent') return undefined
    const rocm = await this.#rocmSmi.run(['--showid', '--json'])
    return rocm.outcome === 'absent' ? `${amd.words} ${rocm.words}` : undefined
  }

  /** Callers at the same time share one reading. */
  sample(): Promise<GpuSample> {
    this.#sample ??= this.#read().finally(() => {
      this.#sample = undefined
    })
    return this.#sample
  }

  async close(): Promise<void> {
    await Promise.all([this.#amdSmi.close(), this.#rocmSmi.close()])
  }

  async #read(): Promise<GpuSample> {
    const found = (await this.#readAmdSmi()) ?? (await this.#readRocmSmi())
    if (typeof found === 'string') return {state: 'lost', reason: found, driverVersion: null, gpus: []}
    const vanished = this.#findVanished(found)
    const gpus = await Promise.all(
      found.cards.map(async ({busId, ...reading}): Promise<GpuReading> => {
        return {...reading, devicePaths: await this.#devicePaths(busId)}
      }),
    )
    return {state: vanished ? 'lost' : 'ok', reason: vanished ?? '', driverVersion: found.driverVersion, gpus}
  }

  /** The cards, what is wrong, or undefined where the tool is not installed. */
  async #readAmdSmi(): Promise<AmdCards | string | undefined> {
    if (this.#staticText === undefined) {
      const answer = await this.#amdSmi.run(['static', '--asic', '--bus', '--vram', '--driver', '--json'])
      if (answer.outcome === 'absent') return
      if (!succeeded(answer)) return answer.words
      this.#staticText = answer.stdout
    }
    const answer = await this.#amdSmi.run(['metric', '--usage', '--mem-usage', '--power', '--temperature', '--json'])
    if (!succeeded(answer)) {
      this.#staticText = undefined
      return answer.words
    }
    const found = parseAmdSmi(this.#staticText, answer.stdout)
    if (!found || this.#isChanged(found)) this.#staticText = undefined
    return found ?? 'amd-smi answered something that is no list of GPUs'
  }

  /** Other cards than a moment ago: what was asked once has to be asked again. */
  #isChanged({cards}: AmdCards): boolean {
    return this.#seenCards.size > 0 && cards.length !== this.#seenCards.size
  }

  async #readRocmSmi(): Promise<AmdCards | string> {
    const answer = await this.#rocmSmi.run(rocmArguments)
    if (!succeeded(answer)) return answer.words
    if (/no JSON data to report/i.test(answer.stdout)) return {cards: [], driverVersion: null}
    return parseRocmSmi(answer.stdout) ?? 'rocm-smi answered something that is no list of GPUs'
  }

  #findVanished({cards}: AmdCards): string | undefined {
    for (const {uuid, index} of cards) this.#seenCards.set(uuid, index)
    for (const [uuid, index] of this.#seenCards) {
      if (!cards.some(card => card.uuid === uuid)) return `GPU ${index} (${uuid}) is no longer listed`
    }
    return undefined
  }

  /** Those of the card's device files that are there. */
  async #devicePaths(busId: string | null): Promise<string[]> {
    const isAddress = /^[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/.test(busId ?? '')
    const entries = isAddress ? await readdir(`${this.#sysDir}/bus/pci/devices/${busId}/drm`).catch(() => []) : []
    const render = entries.filter(name => /^renderD\d+$/.test(name)).map(name => `${this.#devDir}/dri/${name}`)
    const paths = [`${this.#devDir}/kfd`, ...render]
    const present = await Promise.all(
      paths.map(path =>
        stat(path).then(
          () => true,
          () => false,
        ),
      ),
    )
    return paths.filter((_, position) => present[position])
  }
}

function succeeded(answer: SmiAnswer): answer is Extract<SmiAnswer, {outcome: 'answered'}> {
  return answer.outcome === 'answered' && answer.code === 0
}
