import {Args, Flags} from '@oclif/core'
import {DoctorCommand} from '../../cli/doctor/doctor-command.ts'
import type {Finding} from '../../contract/finding.ts'
import type {EngineTest} from '../../contract/schemas/machines.ts'

export default class NodeTest extends DoctorCommand {
  static override summary = 'Ask what runs the containers of a node, as its Docker Engine, whether it answers.'
  static override description =
    'Waits 10 s at most. Exit 7 when it does not answer, or does not trust the certificates. With --full it looks at all that `node doctor` does, the engine among it, shows the findings as that does, and ends with 1 where there is an error.'
  static override examples = [
    '<%= config.bin %> node test rack-7',
    '<%= config.bin %> node test rack-7 --json',
    '<%= config.bin %> node test rack-7 --full',
  ]
  static override args = {node: Args.string({description: 'id or name', required: true})}
  static override flags = {
    full: Flags.boolean({description: 'also link, GPUs, disk and what its agent finds, as `node doctor`'}),
  }

  async run(): Promise<EngineTest | Finding[]> {
    const {args, flags} = await this.parse(NodeTest)
    const client = this.client(flags)
    if (flags.full) {
      const {asFinding, examineNode} = await import('../../cli/doctor/node-checks.ts')
      return this.report((await examineNode(client, args.node)).map(asFinding), {})
    }
    const {id, name: given, hostname, runtime} = await client.call('nodes.get', {id: args.node}, {prepares: true})
    const name = given || hostname
    const test = await client.call('nodes.test', {id})
    const what = runtime === 'docker' ? 'Docker Engine' : `${runtime} runtime`
    this.say(words[test.status](name, what), {...test, id, name})
    if (test.status !== 'connected') process.exitCode = 7
    return test
  }
}

const words = {
  connected: (node: string, what: string) => `The ${what} of ${node} answers.`,
  auth_failed: (node: string) =>
    `Something listens on ${node}, but one side refuses the other's certificate. Check CA, certificate and key, and the name in the engine's certificate.`,
  unreachable: (node: string, what: string) =>
    what === 'Docker Engine'
      ? `The ${what} of ${node} does not answer. Check the address, and that the engine listens there with TLS.`
      : `The ${what} of ${node} does not answer. See \`gpuctl node doctor ${node}\`.`,
}
