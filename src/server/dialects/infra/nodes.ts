import {route} from '../../dialect.ts'
import {AddNode, NodeBegun, taskIdOf} from './wire.ts'

export const nodeRoutes = [
  route({
    method: 'POST',
    path: '/api/agent/nodes/add',
    access: 'super_admin',
    summary: 'Have a machine join the cluster of a node.',
    body: AddNode,
    output: NodeBegun,
    status: 202,
    handle: async ({body: {node_name: name, ip_address: address, master_ip: master}, asker, services}) => {
      const {task, label} = await services.members.add({name, address, master}, asker)
      return {taskId: taskIdOf(task), nodeId: label, message: 'ノードの追加を開始しました'}
    },
  }),
]
