import {Flags} from '@oclif/core'
import {BaseCommand} from '../../cli/base-command.ts'
import {exitCode} from '../../cli/exit-codes.ts'
import {usageError} from '../../cli/failure.ts'
import type {AuditCheck} from '../../contract/schemas/audit.ts'

type Link = AuditCheck['at']
type Verified = Omit<AuditCheck, 'isDone'>

const faults: Record<NonNullable<AuditCheck['fault']>['fault'], (number: number) => string> = {
  edited: number => `Row ${number} is not as it was written: it was edited, or moved there from another place.`,
  replaced: number => `Row ${number} is another one than the next row was chained to: it was replaced.`,
  missing: number => `Row ${number} is missing: it was deleted.`,
  added: number => `Row ${number} was put in without gpuctl.`,
}

export default class AuditVerify extends BaseCommand {
  static override summary = 'Look whether each row of the audit is as it was written.'
  static override description =
    'Each row carries a hash over what it says and over the row before it, so that an edited, deleted or moved one is found and named; then this ends with 1. Who can write to the store could compute the whole chain anew: note the head that is printed somewhere else, and give it with --from the next time. That also reads only what is newer.'
  static override examples = [
    '<%= config.bin %> audit verify',
    '<%= config.bin %> audit verify -o json --jq .head',
    `<%= config.bin %> audit verify --from 0:${'0'.repeat(64)}`,
  ]
  static override flags = {
    from: Flags.string({
      description: 'a head that was noted: must still be in its place; only what is newer is looked at',
      helpValue: '<number>:<hash>',
    }),
  }

  async run(): Promise<Verified> {
    const {flags} = await this.parse(AuditVerify)
    const client = this.client(flags)
    let at = flags.from === undefined ? undefined : readLink(flags.from)
    let checked = 0
    for (;;) {
      const page = await client.call('audit.verify', {after: at?.number, hash: at?.hash})
      const hasMoved = page.at.number > (at?.number ?? -1)
      checked += page.checked
      at = page.at
      if (!page.isDone && hasMoved) continue
      return this.#report({checked, at, head: page.head, fault: page.fault})
    }
  }

  #report(found: Verified): Verified {
    const {checked, head, fault} = found
    if (fault) {
      process.exitCode = exitCode.failure
      this.log(faults[fault.fault](fault.number))
      this.log(`The ${checked} rows before it are as they were written.`)
    } else this.log(`${checked} rows are as they were written.`)
    this.log(`Head: ${head.number}:${head.hash}`)
    return found
  }
}

function readLink(text: string): Link {
  const [, number, hash = ''] = /^(\d{1,15}):([0-9a-f]{64})$/.exec(text.trim()) ?? []
  if (number === undefined)
    throw usageError(`--from must be NUMBER:HASH as a check printed it; got ${text}`, 'See `gpuctl audit verify`.')
  return {number: Number(number), hash}
}
