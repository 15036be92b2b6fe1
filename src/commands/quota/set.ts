import {Args, Flags} from '@oclif/core'
import {ChangeCommand} from '../../cli/change-command.ts'
import {usageError} from '../../cli/failure.ts'
import {quotaWord} from '../../cli/listings.ts'
import type {Quota} from '../../contract/schemas/quotas.ts'

export default class QuotaSet extends ChangeCommand {
  static override summary = 'Set how many GPUs a user may hold, and the highest priority of his claims.'
  static override description = 'A quota below what is held takes nothing away: it only stops further claims.'
  static override examples = [
    '<%= config.bin %> quota set ada --gpus 4',
    '<%= config.bin %> quota set root --gpus unlimited --max-priority 100',
  ]
  static override args = {user: Args.string({description: 'user name or id', required: true})}
  static override flags = {
    gpus: Flags.string({
      description: 'a number; `unlimited` only for a super_admin',
      helpValue: '<count>',
      atLeastOne: ['gpus', 'max-priority'],
    }),
    'max-priority': Flags.integer({description: 'highest priority of the claims', min: -100, max: 100}),
  }

  async run(): Promise<Quota> {
    const {args, flags} = await this.parse(QuotaSet)
    const quota = await this.client(flags).call('quotas.set', {
      user: args.user,
      gpus: readGpus(flags.gpus),
      maxPriority: flags['max-priority'],
    })
    const words = `${quota.user} may hold ${quotaWord(quota.gpus)} GPUs, and holds ${quota.gpusHeld}; highest priority ${quota.maxPriority}.`
    this.say(words, {id: quota.userId, name: quota.user})
    return quota
  }
}

function readGpus(text: string | undefined): number | null | undefined {
  if (text === undefined) return undefined
  if (text === 'unlimited') return null
  if (/^\d{1,6}$/.test(text)) return Number(text)
  throw usageError(`--gpus: ${text} is not a number of GPUs.`, 'Give a number, or unlimited.')
}
