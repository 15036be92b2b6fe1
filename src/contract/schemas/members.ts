import {Type} from 'typebox'
import {operation} from '../operation.ts'
import {MachineName} from './os-images.ts'
import {Task} from './tasks.ts'

const Address = Type.String({
  pattern: '^((25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)\\.){3}(25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)$',
  description: 'an IPv4 address',
})

export const members = {
  'members.add': operation({
    summary: 'Have a machine join the cluster of a node: over SSH from there, as its root.',
    access: 'super_admin',
    status: 202,
    input: Type.Object({name: MachineName, address: Address, master: Address}),
    output: Type.Object({nodeId: Type.String(), label: Type.String(), task: Task}),
  }),
}
