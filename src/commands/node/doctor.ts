import {Args} from '@oclif/core'
import {DoctorCommand} from '../../cli/doctor/doctor-command.ts'
import type {Finding} from '../../contract/finding.ts'

export default class NodeDoctor extends DoctorCommand {
  static override summary = 'Look at a node through the server: link, runtime, GPUs, disk, load, work.'
  static override description =
    'Ends with 1 where there is an error. What needs the machine itself (driver, container toolkit, clock) says `gpuctl agent doctor` there.'
  static override examples = ['<%= config.bin %> node doctor gpu-03', '<%= config.bin %> node doctor gpu-03 -o json']
  static override args = {node: Args.string({description: 'id or name', required: true})}

  async run(): Promise<Finding[]> {
    const {args, flags} = await this.parse(NodeDoctor)
    const {examineNode} = await import('../../cli/doctor/node-checks.ts')
    return this.report(await examineNode(this.client(flags), args.node), {})
  }
}
