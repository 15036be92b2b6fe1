import type {Spec} from '../contract/schemas/catalogue.ts'
import type {ClaimSpec} from '../contract/schemas/claims.ts'
import type {CatalogueEntry} from '../contract/schemas/common.ts'
import type {GpuShare, HeldGpu} from '../contract/schemas/nodes.ts'
import {type OfferedGpu, sellableMiB} from './placement.ts'

/** A card that is sold as 24 GB reports between 22.5 and 24 GiB. */
const reportedShare = 0.9

/** What a claim for the spec needs of a node (wire.md 3.3, 3.4). */
export function needsOf(spec: Spec): Pick<ClaimSpec, 'gpus' | 'cpus' | 'memoryMiB' | 'systemDiskGiB' | 'dataDiskGiB'> {
  const {cpus, memoryGiB, systemDiskGiB, dataDiskGiB} = spec
  return {
    gpus: gpusOf(spec),
    ...(cpus > 0 ? {cpus} : {}),
    ...(memoryGiB > 0 ? {memoryMiB: memoryGiB * 1024} : {}),
    ...(systemDiskGiB > 0 ? {systemDiskGiB} : {}),
    ...(dataDiskGiB > 0 ? {dataDiskGiB} : {}),
  }
}

/** It takes a part of each card: it says so, and says of how much memory. */
export function isSplit({memorySplit, gpuCount, gpuMemoryGiB}: Spec): boolean {
  return memorySplit && gpuCount > 0 && gpuMemoryGiB > 0
}

export function entryOf({id, number, name}: CatalogueEntry): CatalogueEntry {
  return {id, number, name}
}

/** The cards as the claim holds them: whole, or its part of each. */
export function heldBy({gpus}: Pick<ClaimSpec, 'gpus'>, cards: readonly OfferedGpu[]): HeldGpu[] {
  const shareMiB = gpus?.shareMiB
  return cards.map(({index, uuid, model, simulated, memoryMiB}) => {
    const card = {index, uuid, model, simulated}
    return shareMiB === undefined ? card : {...card, share: shareOf(shareMiB, sellableMiB({memoryMiB}))}
  })
}

/** HAMi-core limits the memory of each card, and the time in percent of the card. */
export function shareOf(memoryMiB: number, cardMiB: number): GpuShare {
  const percent = Math.min(100, Math.max(1, Math.round((100 * memoryMiB) / cardMiB)))
  return {memoryMiB, cardMiB, percent}
}

/** The memory of a spec is that of all its cards together. */
function gpusOf(spec: Spec): NonNullable<ClaimSpec['gpus']> {
  const {gpuCount: count, gpuModel, gpuMemoryGiB} = spec
  if (count === 0) return {count}
  const perCardMiB = Math.floor((gpuMemoryGiB * 1024) / count)
  const modelName = gpuModel ? {modelName: gpuModel} : {}
  if (isSplit(spec)) return {count, ...modelName, shareMiB: perCardMiB}
  const minMemoryMiB = Math.floor(perCardMiB * reportedShare)
  return {count, ...modelName, ...(minMemoryMiB > 0 ? {minMemoryMiB} : {})}
}
