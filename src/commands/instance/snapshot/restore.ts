import {Args, Flags} from '@oclif/core'
import {ChangeCommand} from '../../../cli/change-command.ts'
import {instanceRestored} from '../../../cli/instance-state.ts'
import {durationFlag} from '../../../cli/units.ts'
import type {Instance} from '../../../contract/schemas/instances.ts'

export default class InstanceSnapshotRestore extends ChangeCommand {
  static override summary = 'Make an instance again what it was at a snapshot; its volumes stay as they are.'
  static override description =
    'It is stopped, its container is replaced by a new one of the snapshot with the same GPUs, variables, mounts and limits, and it is started if it ran. What was written since is lost, but for what lies in its volumes and sites; what lies in volumes that the image declares by itself is lost, too. Where the new container cannot be made or started, the old one goes on. `gpuctl instance restore INSTANCE SNAPSHOT` does the same.'
  static override examples = [
    '<%= config.bin %> instance snapshot restore train before-upgrade',
    '<%= config.bin %> instance restore train before-upgrade --yes --no-wait',
  ]
  static override args = {
    instance: Args.string({description: 'id or name', required: true}),
    snapshot: Args.string({description: 'name of the snapshot', required: true, ignoreStdin: true}),
  }
  static override flags = {
    wait: Flags.boolean({description: 'until it is done', default: true, allowNo: true}),
    grace: durationFlag({description: 'time for the workload to end by itself'}),
  }

  async run(): Promise<Instance> {
    const {args, flags} = await this.parse(InstanceSnapshotRestore)
    const {instance: id, snapshot} = args
    await this.consent(
      `Make ${id} again what it was at ${snapshot}? All that was written since is lost, but for its volumes.`,
      flags,
    )
    const client = this.client(flags)
    const graceSeconds = flags.grace === undefined ? undefined : Math.round(flags.grace / 1000)
    const asked = await client.call('instances.restore', {id, snapshot, graceSeconds})
    if (!flags.wait) {
      this.say(`${asked.name} becomes what it was at ${snapshot}.`, asked)
      return asked
    }
    const restored = await instanceRestored(client, asked, {timeoutMs: flags.timeout, quiet: this.mode.quiet})
    this.say(`${restored.name} is what it was at ${snapshot}.`, restored)
    return restored
  }
}
