import {Flags} from '@oclif/core'
import type {Spec} from '../contract/schemas/catalogue.ts'
import {usageError} from './failure.ts'
import {memoryFlag} from './units.ts'

/** What `image create` and `image update` say of an image. */
export const imageFlags = {
  address: Flags.string({description: 'the image as Docker names it'}),
  description: Flags.string({description: 'what is in it'}),
  source: Flags.string({description: 'where it comes from'}),
  'memory-split': Flags.boolean({description: 'it can run on a part of a GPU (HAMi)', allowNo: true}),
  remark: Flags.string({description: 'a note for administrators'}),
  listed: Flags.boolean({description: 'offered to users', allowNo: true}),
}

/** What `spec create` and `spec update` say of a spec. */
export const specFlags = {
  gpus: Flags.integer({description: 'how many GPUs', min: 0}),
  'gpu-model': Flags.string({description: 'the whole name of the model; brand words, case and spaces aside'}),
  'gpu-memory': memoryFlag({description: 'memory of all its GPUs together'}),
  'memory-split': Flags.boolean({description: 'only that part of each GPU, beside others (HAMi)', allowNo: true}),
  cpus: Flags.integer({description: 'processors', min: 0}),
  memory: memoryFlag({description: 'main memory'}),
  disk: memoryFlag({description: 'system disk'}),
  'data-disk': memoryFlag({description: 'data disk: a volume at /data'}),
  price: Flags.string({description: 'price for an hour', helpValue: '<number>'}),
  listed: Flags.boolean({description: 'offered to users', allowNo: true}),
}

export interface SpecFlags {
  gpus?: number
  'gpu-model'?: string
  'gpu-memory'?: number
  'memory-split'?: boolean
  cpus?: number
  memory?: number
  disk?: number
  'data-disk'?: number
  price?: string
  listed?: boolean
}

type SpecFields = Partial<Omit<Spec, 'id' | 'number' | 'createdAt' | 'updatedAt' | 'name'>>

export function readSpec(flags: SpecFlags): SpecFields {
  return {
    gpuCount: flags.gpus,
    gpuModel: flags['gpu-model'],
    gpuMemoryGiB: inGiB(flags['gpu-memory']),
    memorySplit: flags['memory-split'],
    cpus: flags.cpus,
    memoryGiB: inGiB(flags.memory),
    systemDiskGiB: inGiB(flags.disk),
    dataDiskGiB: inGiB(flags['data-disk']),
    pricePerHour: readPrice(flags.price),
    listed: flags.listed,
  }
}

function inGiB(mib: number | undefined): number | undefined {
  return mib === undefined ? undefined : Math.round(mib / 1024)
}

function readPrice(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  if (!/^\d+(\.\d+)?$/.test(text)) throw usageError(`--price: ${text} is not a number.`)
  return Number(text)
}
