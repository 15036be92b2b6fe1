import {Args, Flags} from '@oclif/core'
import type {Several} from '../../cli/base-command.ts'
import {ChangeCommand} from '../../cli/change-command.ts'
import type {GlobalFlags} from '../../cli/global-flags.ts'
import {gpuSummary, span} from '../../cli/output/figures.ts'
import {canAsk} from '../../cli/terminal.ts'
import {labelFlag, readPairs} from '../../cli/units.ts'
import {waitFor} from '../../cli/wait.ts'
import type {Client} from '../../client/client.ts'
import type {Node} from '../../contract/schemas/nodes.ts'

/** Five characters of the code's alphabet, in any case, with spaces and dashes: a typed code is the consent. */
const typedCode = /^[ -]*([A-HJKMNP-Z2-9][ -]*){5}$/i

export default class NodeApprove extends ChangeCommand {
  static override summary = 'Admit a waiting node by its code, id or name.'
  static override description =
    'A typed code asks nothing: whoever types it has seen it on the machine. By id or name it shows who waits, and asks first. It prints whom it admitted.'
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
      const seen = typedCode.test(reference) ? undefined : await this.#ask(reference, client, flags)
      const admitted = await client.call('nodes.approve', {
        node: seen?.id ?? reference,
        expectHost: flags['expect-host'],
        labels: readPairs(flags.label, '--label'),
      })
      const node = flags.wait
        ? await this.#online(admitted, flags.timeout, () => client.call('nodes.get', {id: admitted.id}))
        : admitted
      this.#tell(node, seen !== undefined)
      return node
    })
  }

  /** A name alone says little of a machine: a person is shown who waits, and admits just that one. */
  async #ask(reference: string, client: Client, flags: GlobalFlags): Promise<Node | undefined> {
    const isAsked = this.calls === 'made' && !this.hasConsent(flags) && this.mode.mayAsk && canAsk()
    const node = isAsked ? await client.call('nodes.get', {id: reference}) : undefined
    if (node) this.notice(`${nameOf(node)} waits at ${addressesOf(node)}.\n${describe(node).join('\n')}`)
    await this.consent(`Admit ${node ? nameOf(node) : reference} to the fleet?`, flags)
    return node
  }

  #tell(node: Node, isShown: boolean): void {
    const end = node.status === 'online' ? '; it is online.' : '.'
    this.say(`Approved ${nameOf(node)} from ${addressesOf(node)}${end}`, node)
    if (!this.mode.quiet && this.mode.format === undefined && !isShown) this.log(describe(node).join('\n'))
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

function nameOf({name, hostname}: Node): string {
  return name || hostname
}

/** Where it was seen to be, and where it says that it is. */
function addressesOf({address, claimedAddress}: Node): string {
  return [address, claimedAddress && `says ${claimedAddress}`].filter(Boolean).join(', ') || 'an unknown address'
}

function describe({gpus, gpuSummary: summary, createdAt, fingerprint}: Node): string[] {
  return [
    `  GPUs         ${gpuSummary(gpus) || summary || 'none reported'}`,
    `  Asked        ${span(Date.now() - Date.parse(createdAt))} ago`,
    `  Fingerprint  ${fingerprint || 'none'}`,
  ]
}
