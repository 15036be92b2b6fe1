import {Flags} from '@oclif/core'
import {BaseCommand} from '../../cli/base-command.ts'
import {ask} from '../../cli/prompt.ts'
import {readSecretFile} from '../../cli/secret-input.ts'
import {canAsk} from '../../cli/terminal.ts'
import {placeFlags} from './backup.ts'
import {serverFlags} from './start.ts'

interface InitOutput {
  directory: string
  made: string[]
  store: string
  serverId: string
  passwordFile: string | null
  fingerprint: string | null
}

export default class ServerInit extends BaseCommand {
  static override summary =
    'Make the folder, keys, store, administrator and settings of a control server, and start nothing.'
  static override description =
    '`server start` then takes its addresses from there; flags and variables go before. Without --admin-password-file a person is asked for the password; where nobody can be asked, or with --non-interactive, it is a random one that lies in a file of mode 0600 until the first start shows it. Again it makes what is missing and writes the settings anew.'
  static override examples = [
    '<%= config.bin %> server init --listen 0.0.0.0:8888 --tls',
    '<%= config.bin %> server init --non-interactive --admin-password-file /run/secrets/admin -o json',
  ]
  static override flags = {
    ...placeFlags,
    ...serverFlags,
    'tls-cert': Flags.string({description: 'PEM file of the certificate', dependsOn: ['tls-key']}),
    'tls-key': Flags.string({description: 'PEM file of its key', dependsOn: ['tls-cert']}),
    tls: Flags.boolean({
      description: 'serve https with a certificate of our own, which is made now',
      exclusive: ['tls-cert', 'tls-key'],
    }),
    'admin-password-file': Flags.string({
      description: 'read the password of the first administrator from a file',
      helpValue: '<file>',
      env: 'GPUCTL_ADMIN_PASSWORD_FILE',
    }),
    'non-interactive': Flags.boolean({description: 'ask nothing'}),
  }

  async run(): Promise<InitOutput> {
    const {flags} = await this.parse(ServerInit)
    const {initServer} = await import('../../main/server-init.ts')
    const done = await initServer({
      data: flags.data,
      database: flags.db,
      password: await this.#password(flags),
      env: {...process.env, GPUCTL_ADMIN_PASSWORD_FILE: undefined},
      config: {
        listen: flags.listen,
        alsoListen: flags['also-listen'],
        sshPort: flags['ssh-port'],
        tlsCert: flags['tls-cert'],
        tlsKey: flags['tls-key'],
        selfSigned: flags.tls,
      },
    })
    this.log(`A control server is ready in ${done.directory}.`)
    for (const path of done.made) this.log(`  made  ${path}`)
    if (done.made.length === 0) this.log('  All was there already.')
    if (done.fingerprint) this.log(`Certificate: SHA256:${done.fingerprint}`)
    if (done.passwordFile) this.log(`Administrator: admin, with the password in ${done.passwordFile}`)
    this.hint('Next: gpuctl server start')
    return done
  }

  /** Undefined: a random one. */
  async #password(flags: {'admin-password-file'?: string; 'non-interactive'?: boolean}): Promise<string | undefined> {
    const file = flags['admin-password-file']
    if (file !== undefined) return readSecretFile(file)
    if (flags['non-interactive'] || !this.mode.mayAsk || !canAsk()) return undefined
    const message = 'Password of the administrator admin (empty: a random one)'
    const typed = await ask({kind: 'password', message, instead: '--admin-password-file', mayAsk: true})
    return typed === '' ? undefined : typed
  }
}
