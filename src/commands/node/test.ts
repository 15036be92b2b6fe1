import {Args} from '@oclif/core'
import {BaseCommand} from '../../cli/base-command.ts'
import type {EngineTest} from '../../contract/schemas/machines.ts'

export default class NodeTest extends BaseCommand {
  static override summary = 'Ask what runs the containers of a node, as its Docker Engine, whether it answers.'
  static override description =
    'Waits 10 s at most. Exit 7 when it does not answer, or does not trust the certificates.'
  static override examples = ['<%= config.bin %> node test rack-7', '<%= config.bin %> node test rack-7 --json']
  static override args = {node: Args.string({description: 'id or name', required: true})}

  async run(): Promise<EngineTest> {
    const {args, flags} = await this.parse(NodeTest)
    const client = this.client(flags)
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
