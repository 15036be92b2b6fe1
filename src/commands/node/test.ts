import {Args} from '@oclif/core'
import {BaseCommand} from '../../cli/base-command.ts'
import type {EngineTest} from '../../contract/schemas/machines.ts'

export default class NodeTest extends BaseCommand {
  static override summary = 'Ask the Docker Engine of a node whether it answers.'
  static override description =
    'Waits 10 s at most. Exit 7 when it does not answer, or does not trust the certificates.'
  static override examples = ['<%= config.bin %> node test rack-7', '<%= config.bin %> node test rack-7 --json']
  static override args = {node: Args.string({description: 'id or name', required: true})}

  async run(): Promise<EngineTest> {
    const {args, flags} = await this.parse(NodeTest)
    const test = await this.client(flags).call('nodes.test', {id: args.node})
    this.say(words[test.status](args.node), {...test, id: args.node, name: args.node})
    if (test.status !== 'connected') process.exitCode = 7
    return test
  }
}

const words = {
  connected: (node: string) => `The Docker Engine of ${node} answers.`,
  auth_failed: (node: string) =>
    `Something listens on ${node}, but one side refuses the other's certificate. Check CA, certificate and key, and the name in the engine's certificate.`,
  unreachable: (node: string) =>
    `The Docker Engine of ${node} does not answer. Check the address, and that the engine listens there with TLS.`,
}
