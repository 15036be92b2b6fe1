import {Flags} from '@oclif/core'
import type {Device, Mount, Pool} from '../contract/schemas/storage.ts'
import type {Column} from './output/column.ts'
import {bytes} from './output/figures.ts'

/** Of commands that hand in a task. */
export const taskFlags = {wait: Flags.boolean({description: 'until it is done', allowNo: true})}

export const poolColumns: Column<Pool>[] = [
  {name: 'name', value: ({name}) => name},
  {name: 'node', value: ({node}) => node},
  {name: 'type', value: ({type}) => type},
  {name: 'status', value: ({status}) => status},
  {name: 'size', value: ({sizeBytes}) => sizeBytes, unit: 'bytes', shown: ({sizeBytes}) => bytes(sizeBytes)},
  {name: 'free', value: ({freeBytes}) => freeBytes, unit: 'bytes', shown: ({freeBytes}) => bytes(freeBytes)},
  {name: 'shared to', value: ({share}) => share && `${share.network} ${share.readWrite ? 'rw' : 'ro'}`},
  {name: 'device', value: ({device}) => device},
  {name: 'path', value: ({path}) => path, wide: true},
  {name: 'comment', value: ({comment}) => comment, wide: true},
  {name: 'id', value: ({id}) => id, wide: true},
]

export const deviceColumns: Column<Device>[] = [
  {name: 'path', value: ({path}) => path},
  {name: 'size', value: ({sizeBytes}) => sizeBytes, unit: 'bytes', shown: ({sizeBytes}) => bytes(sizeBytes)},
  {name: 'model', value: ({model}) => model},
  {name: 'state', value: stateOf},
  {name: 'carries', value: ({carries}) => carries.join('; ')},
  {name: 'by id', value: ({byId}) => byId, wide: true},
  {name: 'serial', value: ({serial}) => serial, wide: true},
]

export const mountColumns: Column<Mount>[] = [
  {name: 'name', value: ({name}) => name},
  {name: 'node', value: ({node}) => node},
  {name: 'source', value: ({server, exportPath}) => `${server}:${exportPath}`},
  {name: 'mode', value: ({readOnly}) => (readOnly ? 'ro' : 'rw')},
  {name: 'status', value: ({status}) => status},
  {name: 'path', value: ({path}) => path},
  {name: 'detail', value: ({detail}) => detail, wide: true},
  {name: 'id', value: ({id}) => id, wide: true},
]

function stateOf({busy, readOnly, carries}: Device): string {
  if (busy) return 'in use'
  if (readOnly) return 'read-only'
  return carries.length > 0 ? 'carries data' : 'free'
}
