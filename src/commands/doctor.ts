import {DoctorCommand, fixFlag} from '../cli/doctor/doctor-command.ts'
import {readOutputMode} from '../cli/global-flags.ts'
import type {Finding} from '../contract/finding.ts'

export default class Doctor extends DoctorCommand {
  static override summary = 'Look at what this program needs: settings, keyring, server, TLS, clock, login, ssh.'
  static override description =
    'Each finding is ok, warn or error, with what to do. Ends with 1 where there is an error. With --fix files that others can read are closed. `server doctor` and `agent doctor` look at those programs on their own machine, `node doctor` at a node.'
  static override examples = [
    '<%= config.bin %> doctor',
    '<%= config.bin %> doctor --fix',
    '<%= config.bin %> doctor -o json',
  ]
  static override flags = fixFlag

  #trouble: (Error & {hint?: string}) | undefined

  /** Settings that cannot be read are a finding here. */
  override async init(): Promise<void> {
    await super.init().catch((error: Error) => {
      this.#trouble = error
      this.mode = readOutputMode(this.argv, process.env)
    })
  }

  async run(): Promise<Finding[]> {
    const {flags} = await this.parse(Doctor)
    const {examineClient} = await import('../cli/doctor/examine.ts')
    let origin = ''
    try {
      if (!this.#trouble) origin = this.choose(flags).origin
      // The parser takes the variable for the flag.
      if (origin === '--server' && flags.server === process.env.GPUCTL_SERVER) origin = 'GPUCTL_SERVER'
    } catch (error) {
      this.#trouble = error as Error
    }
    const client = this.#trouble ? undefined : this.client(flags)
    const {version} = this.config
    return this.report(await examineClient({client, trouble: this.#trouble, version, env: process.env, origin}), flags)
  }
}
