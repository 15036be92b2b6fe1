import type {Exec} from '../platform/exec.ts'
import type {GpuCollector, GpuReading, GpuSample} from './collector.ts'
import {
  type Card,
  identityFields,
  parseRows,
  parseSlices,
  type QueryField,
  queryFields,
  readingOfSlice,
} from './nvidia-output.ts'
import {oneLine, type SmiAnswer, SmiTool} from './smi-tool.ts'

export interface NvidiaCollectorOptions {
  exec: Exec
  /** Path of the tool, or a name in PATH. Default `nvidia-smi`. */
  file?: string
  /** How long one call of the tool may take. Default 5 s. */
  timeoutMs?: number
}

/** "infoROM is corrupted": the card works and the figures are there, with a line of warning beside them. */
const warningCode = 14

/**
 * GPUs by `nvidia-smi`: one call a sample, and one more while a card is cut into MIG slices. Such a card is not listed itself;
 * its slices are, under the indexes that `readingOfSlice` tells.
 *
 * A card that was listed once and is no longer makes the sample `lost`, as the tool's own complaint does, with the cards
 * that still answer in it. One that was taken out on purpose is forgotten when the agent starts again.
 */
export class NvidiaCollector implements GpuCollector {
  readonly vendor = 'nvidia'
  readonly #tool: SmiTool
  readonly #unknownFields = new Set<QueryField>()
  readonly #seenCards = new Map<string, number>()
  #sample: Promise<GpuSample> | undefined

  constructor({exec, file = 'nvidia-smi', timeoutMs = 5_000}: NvidiaCollectorOptions) {
    this.#tool = new SmiTool({exec, file, timeoutMs})
  }

  async unavailable(): Promise<string | undefined> {
    const answer = await this.#tool.run(['-L'])
    if (answer.outcome === 'absent') return answer.words
    if (answer.outcome === 'answered' && findsNone(answer.words)) return 'nvidia-smi finds no GPU.'
    return undefined // a sick driver is read, too: the sample says what is wrong with it
  }

  /** Callers at the same time share one reading. */
  sample(): Promise<GpuSample> {
    this.#sample ??= this.#read().finally(() => {
      this.#sample = undefined
    })
    return this.#sample
  }

  close(): Promise<void> {
    return this.#tool.close()
  }

  async #read(): Promise<GpuSample> {
    const fields = queryFields.filter(field => !this.#unknownFields.has(field))
    const answer = await this.#tool.run([`--query-gpu=${fields.join(',')}`, '--format=csv,noheader,nounits'])
    if (answer.outcome !== 'answered') return lost(answer.words)

    const refused = refusedField(answer)
    if (refused && fields.includes(refused)) {
      if (identityFields.includes(refused)) return lost(`nvidia-smi does not know the field ${refused}`)
      this.#unknownFields.add(refused)
      return this.#read()
    }

    const isEmpty = findsNone(answer.words)
    const {cards, driverVersion, strayLine} = parseRows(isEmpty ? '' : answer.stdout, fields)
    const vanished = this.#findVanished(cards)
    const {gpus, unreadable} = await this.#allocatable(cards)
    const complaint = strayLine === undefined ? undefined : oneLine(strayLine)
    const isAnswer = (answer.code === 0 || answer.code === warningCode) && cards.length > 0
    const failed = isAnswer || isEmpty ? undefined : answer.words
    const reason = complaint ?? failed ?? vanished ?? unreadable
    return reason === undefined
      ? {state: 'ok', reason: '', driverVersion, gpus}
      : {...lost(reason), driverVersion, gpus}
  }

  /** Whole cards and, for those cut by MIG, their slices; `unreadable` says why there are none of these. */
  async #allocatable(cards: readonly Card[]): Promise<{gpus: GpuReading[]; unreadable?: string}> {
    const whole = cards.filter(card => !card.migEnabled).map(({migEnabled: _, ...reading}) => reading)
    if (whole.length === cards.length) return {gpus: whole}
    const answer = await this.#tool.run(['-L'])
    if (answer.outcome !== 'answered' || answer.code !== 0) return {gpus: whole, unreadable: answer.words}
    const slices = parseSlices(answer.stdout).flatMap(slice => {
      const card = cards.find(one => one.index === slice.card && one.migEnabled)
      return card ? [readingOfSlice(card, slice)] : []
    })
    return {gpus: [...whole, ...slices]}
  }

  #findVanished(cards: readonly Card[]): string | undefined {
    for (const {uuid, index} of cards) this.#seenCards.set(uuid, index)
    for (const [uuid, index] of this.#seenCards) {
      if (!cards.some(card => card.uuid === uuid)) return `nvidia-smi no longer lists GPU ${index} (${uuid})`
    }
    return undefined
  }
}

function lost(reason: string): GpuSample {
  return {state: 'lost', reason, driverVersion: null, gpus: []}
}

function findsNone(words: string): boolean {
  return /^\s*no devices were found/i.test(words)
}

function refusedField({code, words}: Extract<SmiAnswer, {outcome: 'answered'}>): QueryField | undefined {
  const name = code === 2 ? /field "([^"]+)" is not a valid field/i.exec(words)?.[1] : undefined
  return queryFields.find(field => field === name)
}
