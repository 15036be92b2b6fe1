import {Args, Flags} from '@oclif/core'
import type {Several} from '../../cli/base-command.ts'
import {ChangeCommand} from '../../cli/change-command.ts'
import {gpuSummary, span} from '../../cli/output/figures.ts'
import {labelFlag, readPairs} from '../../cli/units.ts'
import {waitFor} from '../../cli/wait.ts'
import type {Node} from '../../contract/schemas/nodes.ts'

/** Five characters of the code's alphabet, in any case, with spaces and dashes: a typed code is the consent. */
const typedCode = /^[ -]*([A-HJKMNP-Z2-9][ -]*){5}$/i

export default class NodeApprove extends ChangeCommand {
  static override summary = 'Admit a waiting node by its code, id or name.'
  static override description =
    'A typed code asks nothing: whoever types it has seen it on the machine. By id or name it asks first. It prints whom it admitted.'
  static override examples = [
    '<%= config.bin %> node approve XK7M2',
    '<%= config.bin %> node approve XK7M2 --expect-host gpu-03 --wait',
    '<%= config.bin %> node approve XK7M2 -o json',
  ]
  static override strict = false
  static override args = {node: Args.string({description: 'code, id or name; may be repeated', required: true})}
  static override flags = {
    label: labelFlag,
    'expect-host': Flags.string({description: 'refuse when another host is behind the code', helpValue: '<hostname>'}),
    wait: Flags.boolean({description: 'until the node is online', allowNo: true}),
  }

  async run(): Promise<Several<Node>> {
    const {argv, flags} = await this.parse(NodeApprove)
    const client = this.client(flags)
    return this.each(argv, async reference => {
      if (!typedCode.test(reference)) await this.consent(`Admit ${reference} to the fleet?`, flags)
      const admitted = await client.call('nodes.approve', {
        node: reference,
        expectHost: flags['expect-host'],
        labels: readPairs(flags.label, '--label'),
      })
      const node = flags.wait
        ? await this.#online(admitted, flags.timeout, () => client.call('nodes.get', {id: admitted.id}))
        : admitted
      this.#tell(node)
      return node
    })
  }

  #tell(node: Node): void {
    const addresses = [node.address, node.claimedAddress && `says ${node.claimedAddress}`].filter(Boolean).join(', ')
    this.say(`Approved ${node.name || node.hostname} from ${addresses || 'an unknown address'}.`, node)
    if (!this.mode.quiet && this.mode.format === undefined) {
      this.log(`  GPUs         ${gpuSummary(node.gpus) || node.gpuSummary || 'none reported'}`)
      this.log(`  Asked        ${span(Date.now() - Date.parse(node.createdAt))} ago`)
      this.log(`  Fingerprint  ${node.fingerprint || 'none'}`)
    }
    this.hint(`Next: gpuctl node get ${node.name}  ·  gpuctl claim submit --image IMAGE --gpus 1 --wait`)
  }

  #online(node: Node, timeoutMs: number | undefined, look: () => Promise<Node>): Promise<Node> {
    return waitFor<Node>({
      look,
      isDone: ({status}) => status === 'online',
      describe: ({name, status}) => `Waiting for ${name}: ${status}`,
      goOn: `gpuctl wait node/${node.name} --for online`,
      timeoutMs: timeoutMs ?? 5 * 60_000,
      quiet: this.mode.quiet,
    })
  }
}
